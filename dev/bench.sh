#!/usr/bin/env bash
# Runs the benchmarks of simulation, and with --sites those of real sites; benchmarks/README.md says what they measure, and the options.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/setup.sh
which=simulation
if [ "${1:-}" = --sites ]; then
    shift
    which=deployment
fi
exec .venv/bin/python benchmarks/$which/run.py "$@"
