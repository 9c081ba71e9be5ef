"""Update check: asks the package index named in config.toml for a newer version, once a day, in a separate process.

No command waits for the answer: it shows what an earlier command's question has found out. Nothing is asked without
`update-check = "URL"` in config.toml, with UMBEL_DISABLE_UPDATE_CHECK=1, or by a command that answers in JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from umbel import __version__
from umbel.home import home

if TYPE_CHECKING:
    from pathlib import Path

OFF = "UMBEL_DISABLE_UPDATE_CHECK"
_EVERY = 24 * 3600.0  # seconds
_PATIENCE = 10.0  # seconds
_LONGEST = 16 * 1024 * 1024  # bytes of the index's answer
_INDEX_FORMAT = "application/vnd.pypi.simple.v1+json"


class _Known(NamedTuple):
    """What the last question, at `asked_at`, found out."""

    url: str = ""
    asked_at: float = 0.0
    newest: str = ""


def remind() -> str | None:
    """A sentence about a newer version, if one is known of; sees to it that the index is asked where that is due."""
    url = None if os.environ.get(OFF, "0") not in ("", "0") else _index()
    if url is None:
        return None
    known = _read()
    if known.url != url or not 0 <= time.time() - known.asked_at < _EVERY:
        _write(_Known(url, time.time(), known.newest if known.url == url else ""))  # a crowd of commands asks once
        _ask_later(url)
    if not _is_newer(known.newest):
        return None
    return f"Umbel {known.newest} is available; this is {__version__}."


def ask(url: str) -> None:
    """Ask the index at `url`, the page of a project in its JSON form, and keep the answer."""
    from urllib.request import Request, urlopen

    if not url.startswith(("https://", "http://")):
        return
    request = Request(url, headers={"Accept": _INDEX_FORMAT, "User-Agent": "umbel"})  # noqa: S310 - checked above
    with urlopen(request, timeout=_PATIENCE) as response:  # noqa: S310 - as above
        found = json.loads(response.read(_LONGEST))
    _write(_Known(url, time.time(), _newest(found)))


def _newest(found: Any) -> str:
    from packaging.version import InvalidVersion, Version

    versions = []
    for text in found.get("versions", []) if isinstance(found, dict) else []:
        try:
            versions.append(Version(text))
        except (InvalidVersion, TypeError):
            continue
    return str(max((version for version in versions if not version.is_prerelease), default=""))


def _is_newer(version: str) -> bool:
    if not version:
        return False
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version) > Version(__version__)
    except InvalidVersion:
        return False


def _index() -> str | None:
    """The setting. What is wrong with the file is not ours to say."""
    try:
        url = tomllib.loads((home() / "config.toml").read_text(encoding="utf-8")).get("update-check")
    except (OSError, ValueError):
        return None
    return url if isinstance(url, str) and url else None


def _path() -> Path:
    return home() / "cache" / "update-check.json"


def _read() -> _Known:
    try:
        url, asked_at, newest = json.loads(_path().read_text(encoding="utf-8"))
        return _Known(str(url), float(asked_at), str(newest))
    except (OSError, ValueError, TypeError):
        return _Known()


def _write(known: _Known) -> None:
    temporary = _path().with_name(f"update-check.{os.getpid()}")
    try:
        _path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_text(json.dumps(known), encoding="utf-8")
        temporary.replace(_path())
    except OSError:
        return


def _ask_later(url: str) -> None:
    # Not subprocess, which wants to be waited for: when this command ends first, init adopts the process.
    silent = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]
    command = [sys.executable, "-m", "umbel.cli.updates", url]
    with contextlib.suppress(OSError):
        os.posix_spawn(sys.executable, command, os.environ, file_actions=silent, setpgroup=0)


if __name__ == "__main__":
    ask(sys.argv[1])
