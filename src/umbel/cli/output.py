"""What the command line writes: text for people, one JSON object for programs."""

from __future__ import annotations

import json
import re
import sys
from enum import StrEnum
from typing import TextIO

from umbel.errors import UmbelError

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
