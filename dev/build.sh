#!/usr/bin/env bash
# Builds wheel and sdist into dist/, twice, and fails if the two builds are not the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/setup.sh
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
rm -rf dist
.venv/bin/uv build --quiet --out-dir dist
.venv/bin/uv build --quiet --out-dir "$again"
(cd dist && sha256sum -- *.whl *.tar.gz) | tee "$again/sums"
(cd "$again" && sha256sum --check --quiet sums)
echo 'reproducible: two builds, the same bytes'
