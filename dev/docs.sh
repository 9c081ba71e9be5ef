#!/usr/bin/env bash
# Builds the documentation into docs/_build/html. A warning is an error; the reference pages come from the code.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/setup.sh
.venv/bin/python -m dev.reference
.venv/bin/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going -b html docs docs/_build/html
echo 'docs/_build/html/index.html'
