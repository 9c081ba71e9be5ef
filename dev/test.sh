#!/usr/bin/env bash
# The test command: sets up if needed, checks the import contracts, runs the fast tests on all cores.
#   --all       also the slow, data, torch and acceptance tests, and all examples of the property tests
#   --changed   only the tests of the packages that differ from main, and of the packages that import them
#   --coverage  measure branch coverage, of child processes too, and fail below the floors of dev/check_coverage.py
# Anything else goes to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
choice=(-m 'not slow and not data and not torch' --ignore=tests/acceptance)
setup=()
paths=()
pytest=(.venv/bin/pytest)
coverage=false
while [ $# -gt 0 ]; do
    case $1 in
        --all)
            choice=()
            setup=(--torch)
            export UMBEL_EXAMPLES=all
            ;;
        --changed) paths=(--changed) ;;
        --coverage)
            coverage=true
            pytest=(.venv/bin/coverage run -m pytest)
            ;;
        *) break ;;
    esac
    shift
done
dev/setup.sh "${setup[@]}"
if [ ${#choice[@]} -eq 0 ]; then dev/data.sh; fi
if [ ${#paths[@]} -gt 0 ]; then mapfile -t paths < <(.venv/bin/python dev/changed_tests.py); fi
if $coverage; then .venv/bin/coverage erase; fi
status=0
.venv/bin/lint-imports --no-cache --no-logo || status=$?
"${pytest[@]}" --numprocesses=auto "${choice[@]}" "${paths[@]}" "$@" || status=$?
if $coverage; then
    .venv/bin/coverage combine --quiet
    .venv/bin/python dev/check_coverage.py || status=$?
fi
exit $status
