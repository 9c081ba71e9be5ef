"""Sphinx configuration. A warning fails the build: see dev/docs.sh."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from umbel import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Umbel"
release = __version__
html_title = "Umbel"
html_theme = "furo"
html_show_sphinx = False
html_show_copyright = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "mathml"]
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_ext", "pictures"]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_block", "dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
default_role = "code"  # of docstrings: `name` is code, as in Markdown
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
nitpicky = False  # types of NumPy and the standard library have no target here


def setup(app: Any) -> None:
    """Connect what follows, ahead of napoleon (whose priority is 500)."""
    app.connect("autodoc-process-docstring", keep_colons, priority=400)


def keep_colons(_app: Any, what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Begin the docstring of an attribute with an empty comment, lest napoleon takes what stands before a colon for its type."""
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]
