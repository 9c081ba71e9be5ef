"""Distributions that a test makes: as installed, and as wheels."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest


def metadata(name: str, version: str, requires: Sequence[str] = (), extras: Sequence[str] = ()) -> str:
    """The METADATA of a distribution."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in requires]
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    return "\n".join(lines) + "\n"


def installed(folder: Path, text: str, origin: Mapping[str, object] | None = None) -> None:
    """Make a distribution with this METADATA look installed in a folder, from `origin` (PEP 610)."""
    fields = dict(line.split(": ", 1) for line in text.splitlines() if line.startswith(("Name", "Version")))
    info = folder / f"{fields['Name'].replace('-', '_')}-{fields['Version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(text)
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))


def wheel(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """A wheel in `folder` whose one module, named as the distribution, has its VERSION."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": metadata(name, version, requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path


def hanging_sdist(folder: Path, name: str, told: Path) -> Path:
    """A source distribution whose build writes its process id into the FIFO `told` and then waits indefinitely."""
    folder.mkdir(parents=True, exist_ok=True)
    root = f"{name.replace('-', '_')}-1.0"
    backend = f"""
import os, signal
def get_requires_for_build_wheel(config_settings=None):
    return []
def prepare_metadata_for_build_wheel(directory, config_settings=None):
    with open({str(told)!r}, "w") as fifo:
        fifo.write(f"{{os.getpid()}}\\n")
    signal.pause()
build_wheel = prepare_metadata_for_build_wheel
"""
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": backend,
        "PKG-INFO": metadata(name, "1.0"),
    }
    path = folder / f"{root}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"{root}/{file}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def stock_wheels(folder: Path, environment: pytest.MonkeyPatch) -> Path:
    """A folder of wheels below `folder`, with `demo-lib` 1.0 and 2.0 in it; all that uv has from now on."""
    wheels = folder / "wheels"
    for version in ("1.0", "2.0"):
        wheel(wheels, "demo-lib", version)
    environment.setenv("UV_FIND_LINKS", str(wheels))
    environment.setenv("UV_CACHE_DIR", str(folder / "uv"))
    for name in ("UV_NO_INDEX", "UV_OFFLINE", "UV_NO_CONFIG"):
        environment.setenv(name, "1")
    return wheels
