#!/usr/bin/env bash
# Runs the benchmarks: each benchmarks/bench_*.py, or the ones named. They print one table each.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/setup.sh
shopt -s nullglob
scripts=("$@")
[ ${#scripts[@]} -gt 0 ] || scripts=(benchmarks/bench_*.py)
for script in "${scripts[@]}"; do
    .venv/bin/python "$script"
done
