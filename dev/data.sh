#!/usr/bin/env bash
# Fetches the real data sets that the tests marked `data` need: all of them, or the ones named. Quick when they are there.
set -euo pipefail
exec python3 "$(dirname "$0")/data.py" "$@"
