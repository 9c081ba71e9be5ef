#!/usr/bin/env bash
# Makes .venv ready for work: Umbel (editable), the examples' libraries and the development tools. Quick when nothing changed.
# --torch adds PyTorch and Opacus, which only the tests marked `torch` need; --frameworks adds JAX, TensorFlow, transformers and Lightning too.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet uv
if ! cmp --quiet pyproject.toml .venv/.ready; then
    .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --group dev --editable '.[examples]'
    cp pyproject.toml .venv/.ready
fi
python=.venv/bin/python
need() { # MODULE REQUIREMENT…: pip rather than uv, because of PyTorch's build for CPUs
    "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$1') is None)" || "$python" -m pip install --quiet "${@:2}"
}
case "${1:-}" in
--torch | --frameworks)
    need torch torch==2.13.0
    need opacus 'opacus>=1.6'
    ;;&
--frameworks)
    need jax 'jax>=0.4.30'
    need tensorflow 'tensorflow-cpu>=2.17'
    need transformers 'transformers>=4.45'
    need lightning 'lightning>=2.4'
    ;;
esac
