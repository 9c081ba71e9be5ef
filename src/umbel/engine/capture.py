"""Catches what an app prints, line by line."""

from __future__ import annotations

import io
from collections.abc import Callable

_LONGEST = 8_192  # characters of an incomplete line
Emit = Callable[[str, str], None]  # text, level


class LineCapture(io.TextIOBase):
    """A stream to put in the place of `sys.stdout` or `sys.stderr`: each line that is complete goes to `emit`."""

    def __init__(self, emit: Emit, level: str) -> None:
        """`level` is what the lines count as: INFO or WARNING, say."""
        self._emit = emit
        self._level = level
        self._rest = ""

    def writable(self) -> bool:
        """It is."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8: what an app asks before it prints."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Take `text`; what follows its last line break waits for its rest, unless that is long already."""
        *lines, rest = (self._rest + text).split("\n")
        for line in lines:
            self._emit(_shown(line), self._level)
        self._rest = _shown(rest) + ("\r" if rest.endswith("\r") else "")
        if len(self._rest) >= _LONGEST:
            self.finish()
        return len(text)

    def flush(self) -> None:
        """Nothing is held back but an incomplete line."""

    def finish(self) -> None:
        """Send the incomplete last line."""
        if self._rest:
            self._emit(_shown(self._rest), self._level)
            self._rest = ""


def _shown(line: str) -> str:
    """What a terminal shows of a line that was rewritten, as progress bars do: what follows the last carriage return."""
    return line.rstrip("\r").rpartition("\r")[2]
