#!/usr/bin/env bash
# The test command: sets up if needed, checks the import contracts, runs the fast tests on all cores.
#   --all       also the slow, data, torch, frameworks and acceptance tests, and all examples of the property tests
#   --rest      of --all, what is not among the fast tests
#   --changed   only the tests of the packages that differ from main, and of the packages that import them
#   --coverage  measure branch coverage, of child processes too, and fail below the floors of dev/check_coverage.py
# Anything else goes to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
fast='not slow and not data and not torch and not frameworks'
choice=(-m "$fast" --ignore=tests/acceptance)
setup=()
paths=()
pytest=(.venv/bin/pytest)
coverage=false
while [ $# -gt 0 ]; do
    case $1 in
        --all | --rest)
            choice=()
            if [ "$1" = --rest ]; then choice=(--rest); fi
            setup=(--frameworks)
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
if [ ${#setup[@]} -gt 0 ]; then dev/data.sh; fi
if [ ${#paths[@]} -gt 0 ]; then mapfile -t paths < <(.venv/bin/python dev/changed_tests.py); fi
if $coverage; then .venv/bin/coverage erase; fi
# Tests make and remove thousands of small files: in memory that takes no time.
if [ -z "${TMPDIR:-}" ] && [ -d /dev/shm ] && [ "$(df --output=avail -k /dev/shm | tail -1)" -gt 4000000 ]; then
    export TMPDIR=/dev/shm/umbel-tests
    mkdir -p "$TMPDIR"
fi
status=0
.venv/bin/lint-imports --no-cache --no-logo || status=$?
# One process more than there are processors: tests that start programs wait for them.
"${pytest[@]}" --numprocesses=$(($(getconf _NPROCESSORS_ONLN) + 1)) "${choice[@]}" "${paths[@]}" "$@" || status=$?
if $coverage; then
    .venv/bin/coverage combine --quiet
    .venv/bin/python dev/check_coverage.py || status=$?
fi
exit $status
