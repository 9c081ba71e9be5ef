#!/usr/bin/env bash
# Runs every static check, all of them even when one fails, and says at the end which did.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
failed=()
check() {
    printf '== %s\n' "$*"
    "$@" || failed+=("$1")
}
check ruff check .
check ruff format --check .
check mypy
check lint-imports --no-cache --no-logo
check python dev/check_lengths.py
check deptry .
check python dev/check_style.py
check codespell
[ ${#failed[@]} -eq 0 ] || { printf 'lint failed: %s\n' "${failed[*]}"; exit 1; }
echo 'lint passed'
