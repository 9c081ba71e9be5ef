"""Small apps and hand-made bundles for the tests of bundles."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from umbel.bundle.manifest import write_manifest

PYPROJECT = """
[project]
name = "my-app"
version = "1.2.3"
description = "An app"
license = "Apache-2.0"
dependencies = ["umbel>=0.1"]

[tool.umbel.app]
publisher = "me"

[tool.umbel.app.components]
serverapp = "my_app.server_app:app"
clientapp = "my_app.client_app:app"

[tool.umbel.app.config]
rounds = 3
[tool.umbel.app.config.train]
lr = 0.1
"""
MODULES = {
    "my_app/__init__.py": b"",
    "my_app/server_app.py": b"app = 1\n",
    "my_app/client_app.py": b"app = 2\n",
}


def write_app(root: Path, pyproject: str = PYPROJECT, files: Mapping[str, str | bytes] | None = None) -> Path:
    """An app in `root` with this pyproject.toml, the usual modules and these files."""
    for name, content in {**MODULES, "pyproject.toml": pyproject, **(files or {})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def fab_files(extra: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """The files of a small valid bundle, and these."""
    return {"pyproject.toml": PYPROJECT.encode(), **MODULES, **(extra or {})}


def make_zip(
    files: Mapping[str, bytes], manifest: bytes | None = None, compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """A bundle as somebody else's tool may write it, with the right manifest unless another one is given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(".info/CONTENT", write_manifest(files) if manifest is None else manifest)
    return buffer.getvalue()
