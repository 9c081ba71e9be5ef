#!/usr/bin/env bash
# Kills processes of runs at random moments, N (default 20) times for each kind of process; takes some seconds for each.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/setup.sh
CHAOS_SEEDS=${1:-20} exec .venv/bin/pytest tests/chaos --maxfail=3
