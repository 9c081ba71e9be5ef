"""Packages of the interpreter that runs Umbel, which every environment inherits."""

from __future__ import annotations

import site
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.utils import canonicalize_name

_INSTALLER = "umbel"  # the mark of what `describe` has written
_INHERIT = "umbel_base.pth"


def folders() -> list[Path]:
    """The folders in which installed packages lie, in the order in which they are searched."""
    places = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [path for path in dict.fromkeys(map(Path, places)) if path.is_dir()]


def contents() -> list[str]:
    """The names of all that is installed, with versions: two bases with the same list have the same distributions."""
    return sorted(
        path.name for folder in folders() for path in folder.iterdir() if path.suffix in (".dist-info", ".egg-info")
    )


def describe(packages: Path) -> None:
    """Make the base's distributions look installed in the folder `packages`, without their files.

    An installer then takes them for granted, as far as they fit what is asked for; what it replaces it removes from there, and nothing
    is removed from the base.
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
    """Let the environment whose packages lie in the folder `packages` see the base's, after its own.

    Takes back what `describe` did.
    """
    for marker in packages.glob("*.dist-info/INSTALLER"):
        if marker.read_text(encoding="utf-8") == _INSTALLER:
            for file in marker.parent.iterdir():
                file.unlink()
            marker.parent.rmdir()
    # Not the folders themselves: what their own .pth files name is part of the base.
    lines = [f"import site; site.addsitedir({str(folder)!r})" for folder in folders()]
    (packages / _INHERIT).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _visible() -> Iterator[Distribution]:
    """The distributions in the base; of several with one name, the one that is imported."""
    seen: set[str] = set()
    for distribution in distributions(path=[str(folder) for folder in folders()]):
        name = canonicalize_name(distribution.metadata["Name"] or "")
        if name and distribution.version and name not in seen:
            seen.add(name)
            yield distribution
