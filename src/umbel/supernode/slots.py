"""Who of the waiting messages is served next: first come, first served, within the budget."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING

from umbel.supernode.cancelling import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from umbel.supernode.budget import Budget, Grant, Need


class Slots:
    """A budget that messages wait for."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._changed = Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def taken(self, need: Need, is_cancelled: Callable[[], bool]) -> Iterator[Grant]:
        """Wait for what a client needs, and have it meanwhile. Raises Cancelled when `is_cancelled` says so while it waits."""
        grant = self._wait(need, is_cancelled)
        try:
            yield grant
        finally:
            with self._changed:
                self._budget.give_back(grant)
                self._changed.notify_all()

    def look_again(self) -> None:
        """Something was cancelled."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, need: Need, is_cancelled: Callable[[], bool]) -> Grant:
        me = object()
        with self._changed:
            self._waiting.append(me)
            try:
                while not is_cancelled():
                    if self._waiting[0] is me and (grant := self._budget.take(need)):
                        return grant
                    self._changed.wait()
                raise Cancelled
            finally:
                self._waiting.remove(me)
                self._changed.notify_all()
