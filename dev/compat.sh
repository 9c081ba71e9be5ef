#!/usr/bin/env bash
# Runs the apps of tests/compat under Flower's release and under Umbel, side by side. --record keeps what Flower came to. APP … runs only these.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/setup.sh --torch
exec .venv/bin/python -m tests.compat.compare "$@"
