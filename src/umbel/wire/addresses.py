"""Where a SuperLink answers: at one address, or, where several SuperLinks share a database, at several."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Addresses:
    """The addresses in `text`, separated by commas. One is used by all threads until it fails."""

    def __init__(self, text: str) -> None:
        self.all = tuple(split(text))
        self.current = self.all[0]
        self._lock = threading.Lock()

    def leave(self, address: str) -> None:
        """`address` failed: the next one is tried, unless another thread has turned to it already."""
        with self._lock:
            if address == self.current and address in self.all:
                self.current = self.all[(self.all.index(address) + 1) % len(self.all)]

    def __str__(self) -> str:
        return ",".join(self.all)


def split(text: str) -> list[str]:
    """The addresses in a text; the text itself where there are none."""
    return [part for one in text.split(",") if (part := one.strip())] or [text]


def each(text: str, change: Callable[[str], str]) -> str:
    """The same text with each address changed."""
    return ",".join(change(one) for one in split(text))
