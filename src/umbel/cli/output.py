"""Output formats, questions, and files written for the user."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from umbel._os import is_disk_full
from umbel.errors import ConfigError, NotFound, ObjectInvalid, StorageFull, UmbelError, UsageError


def ask(question: str, *, argument: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
    """The answer to a question; outside a terminal the default, or UsageError that names the missing `argument`."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        if default is not None:
            return default
        raise UsageError(f"{argument} is missing.", hint="It is prompted for only in a terminal.")
    listed = f" ({', '.join(choices)})" if choices else ""
    while True:
        try:
            answer = input(f"{question}{listed}{f' [{default}]' if default else ''}: ").strip() or default or ""
        except EOFError:
            raise UsageError(f"{argument} is missing.") from None
        if answer and (not choices or answer in choices):
            return answer


MAX_NAME = 200  # characters of an artifact's name


def read_file(path: Path) -> bytes:
    """The file's bytes. Raises NotFound or ConfigError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"The file {path} does not exist.", hint="Check the path.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file, replacing one that is there. Raises StorageFull or ConfigError."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise cannot_write(path, error) from error


def make_folder(path: Path) -> None:
    """Create a folder and its parents; one that is there is fine. Raises StorageFull or ConfigError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> UmbelError:
    """The error for a file or folder that could not be written."""
    if is_disk_full(error):
        return StorageFull(f"No disk space left for {path}.")
    return ConfigError(f"{path} cannot be written: {error.strerror}.", hint="Choose another path with --output.")


def checked_name(name: str) -> str:
    """An artifact's name, if it can be a file's name in a folder and nothing more. Raises ObjectInvalid."""
    plain = name.isprintable() and not set(name) & set('/\\:*?"<>|') and not name.startswith(".")
    if not name or not plain or len(name) > MAX_NAME or name != name.strip():
        raise ObjectInvalid(f"The artifact name {name!r} is not a file name; nothing was written for it.")
    return name


STYLES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Format(StrEnum):
    """How a command answers."""

    DEFAULT = "default"
    JSON = "json"


def print_json(payload: dict[str, object]) -> None:
    """Write one JSON object to standard output."""
    print(json.dumps(payload, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def error_payload(error: UmbelError) -> dict[str, object]:
    """The JSON form of an error."""
    return {"success": False, "error-message": error.message, "error-code": error.code, "hint": error.hint}


def print_json_error(error: UmbelError) -> None:
    """Write an error as one JSON object to standard output."""
    print_json(error_payload(error))


def print_error(error: UmbelError) -> None:
    """Write an error's message and hint to standard error."""
    print(styled("Error:", "red", sys.stderr), clean(error.message), file=sys.stderr)
    if error.hint:
        print(clean(error.hint), file=sys.stderr)


def print_warning(text: str) -> None:
    """Write a warning to standard error."""
    print(styled("Warning:", "yellow", sys.stderr), clean(text), file=sys.stderr)


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a style of `STYLES` if the stream (default: standard output) is a terminal that shows colours."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if has_colours(stream or sys.stdout) else text


def has_colours(stream: TextIO) -> bool:
    """Whether to use colours: a terminal, and neither NO_COLOR nor a dumb one."""
    import os

    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def clean(text: str) -> str:
    """`text` without escape sequences and control characters other than newline and tab.

    Logs, names and messages come from other machines: they must not be able to steer the terminal.
    """
    return _CONTROL.sub("", text)
