"""Which names are allowed: of apps, of components and of the files in a bundle."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

PROJECT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
PUBLISHER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_MODULE = r"[^\W\d]\w*"
COMPONENT = re.compile(rf"{_MODULE}(\.{_MODULE})*:{_MODULE}")

MAX_PATH_CHARS = 240
MAX_DEPTH = 16
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789")}
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff<>:"|?*\\]')


def unsafe_path(path: str) -> str | None:
    """Why the file name `path` may not be in a bundle, or None if it may.

    A name is relative, uses `/`, stays inside the bundle and means the same file on every system.
    """
    if _FORBIDDEN.search(path):
        return "it has a backslash, a colon, a control character or another one that some systems do not allow"
    if path.startswith("/"):
        return "it is absolute"
    if len(path) > MAX_PATH_CHARS:
        return f"it is longer than {MAX_PATH_CHARS} characters"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"it is more than {MAX_DEPTH} directories deep"
    return next((reason for part in parts if (reason := _unsafe_part(part))), None)


def _unsafe_part(part: str) -> str | None:
    if part in ("", ".", ".."):
        return f"it has the part `{part}`"
    if part[-1] in ". ":
        return "a part of it ends in a dot or a space"
    if part.partition(".")[0].lower() in _DEVICES:
        return f"`{part}` is the name of a device on some systems"
    return None


def same_on_some_system(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two of `paths` that meet where case or Unicode form does not count, or of which one is the other's directory."""
    seen: dict[str, tuple[str, bool]] = {}
    for path in paths:
        for prefix in _prefixes(path):
            entry = (prefix, prefix == path)
            other = seen.setdefault(_folded(prefix), entry)
            if other != entry:
                return other[0], path
    return None


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
