"""Questions to a person in front of a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from umbel.errors import UsageError


def ask(question: str, *, argument: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
    """The answer to a question; outside a terminal the default, or UsageError that names the missing `argument`."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        if default is not None:
            return default
        raise UsageError(f"{argument} is missing.", hint="It is asked for only in a terminal.")
    listed = f" ({', '.join(choices)})" if choices else ""
    while True:
        try:
            answer = input(f"{question}{listed}{f' [{default}]' if default else ''}: ").strip() or default or ""
        except EOFError:
            raise UsageError(f"{argument} is missing.") from None
        if answer and (not choices or answer in choices):
            return answer
