#!/usr/bin/env bash
# The test command: sets up if needed, checks the import contracts, runs the fast tests on all cores.
# --all adds the slow, data, torch and acceptance tests. Anything else goes to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
choice=(-m 'not slow and not data and not torch and not frameworks' --ignore=tests/acceptance)
setup=()
if [ "${1:-}" = --all ]; then
    shift
    choice=()
    setup=(--frameworks)
fi
dev/setup.sh "${setup[@]}"
[ ${#choice[@]} -gt 0 ] || [ ! -x dev/data.sh ] || dev/data.sh
status=0
.venv/bin/lint-imports --no-cache --no-logo || status=$?
.venv/bin/pytest --numprocesses=auto "${choice[@]}" "$@" || status=$?
exit $status
