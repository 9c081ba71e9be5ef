#!/usr/bin/env bash
# Makes .venv ready for work: Umbel (editable), the examples' libraries and the development tools. Quick when nothing changed.
# --torch adds PyTorch and Opacus, which only the tests marked `torch` need.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet uv
if ! cmp --quiet pyproject.toml .venv/.ready; then
    .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --group dev --editable '.[examples]'
    cp pyproject.toml .venv/.ready
fi
if [ "${1:-}" = --torch ]; then
    .venv/bin/python -c 'import torch' 2>/dev/null || .venv/bin/python -m pip install --quiet torch==2.13.0
    .venv/bin/python -c 'import opacus' 2>/dev/null || .venv/bin/python -m pip install --quiet 'opacus>=1.6'
fi
