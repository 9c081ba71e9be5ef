#!/usr/bin/env bash
# Formats the code and applies ruff's safe fixes. Takes paths; without any, the whole tree.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/ruff format --quiet "${@:-.}"
.venv/bin/ruff check --quiet --fix "${@:-.}"
