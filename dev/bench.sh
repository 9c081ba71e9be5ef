#!/usr/bin/env bash
# Runs the benchmarks; see benchmarks/README.md for what they measure and for the options.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/setup.sh
exec .venv/bin/python benchmarks/simulation/run.py "$@"
