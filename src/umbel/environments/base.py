"""Packages of the interpreter that runs Umbel, which every environment inherits."""

from __future__ import annotations

import site
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.utils import canonicalize_name

_INSTALLER = "umbel"  # marks the metadata that `describe` wrote
_INHERIT = "umbel_base.pth"


def folders() -> list[Path]:
    """The directories of installed packages, in search order."""
    places = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [path for path in dict.fromkeys(map(Path, places)) if path.is_dir()]


def contents() -> list[str]:
    """The sorted names of the metadata directories of all installed distributions, which include the versions."""
    return sorted(
        path.name for folder in folders() for path in folder.iterdir() if path.suffix in (".dist-info", ".egg-info")
    )


def describe(packages: Path) -> None:
    """Write metadata of the base's distributions, without their files, into the directory `packages`.

    An installer then treats them as installed and keeps those that fit the requirements. It removes the metadata of those it replaces;
    the base itself stays unchanged.
    """
    for distribution in _visible():
        name = canonicalize_name(distribution.name).replace("-", "_")
        folder = packages / f"{name}-{distribution.version}.dist-info"
        folder.mkdir()
        files = {
            "METADATA": distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "",
            "INSTALLER": _INSTALLER,
            "direct_url.json": distribution.read_text("direct_url.json") or "",
        }
        written = {file: text for file, text in files.items() if text}
        for file, text in written.items():
            (folder / file).write_text(text, encoding="utf-8")
        (folder / "RECORD").write_text("".join(f"{folder.name}/{file},,\n" for file in (*written, "RECORD")))


def inherit(packages: Path) -> None:
    """Add the base's packages to the search path of the environment with the directory `packages`, after its own packages.

    Removes the metadata that `describe` wrote.
    """
    for marker in packages.glob("*.dist-info/INSTALLER"):
        if marker.read_text(encoding="utf-8") == _INSTALLER:
            for file in marker.parent.iterdir():
                file.unlink()
            marker.parent.rmdir()
    # addsitedir, because directories named by .pth files also belong to the base.
    lines = [f"import site; site.addsitedir({str(folder)!r})" for folder in folders()]
    (packages / _INHERIT).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _visible() -> Iterator[Distribution]:
    """The distributions of the base; of several with the same name, the first on the search path."""
    seen: set[str] = set()
    for distribution in distributions(path=[str(folder) for folder in folders()]):
        name = canonicalize_name(distribution.metadata["Name"] or "")
        if name and distribution.version and name not in seen:
            seen.add(name)
            yield distribution
