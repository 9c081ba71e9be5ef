#!/usr/bin/env bash
# Draws docs/pictures/*.dot as SVG into docs/_static/pictures. Needs Graphviz (Debian: graphviz).
set -euo pipefail
cd "$(dirname "$0")/.."
command -v dot >/dev/null || { echo 'dot is missing: install Graphviz, for example with "apt-get install graphviz"' >&2; exit 1; }
for source in docs/pictures/*.dot; do
    name=$(basename "$source" .dot)
    # The digest of the source goes along, so that a test notices a picture that is out of date.
    { dot -Tsvg "$source"; printf '<!-- source: %s -->\n' "$(sha256sum <"$source" | cut -d' ' -f1)"; } >"docs/_static/pictures/$name.svg"
done
