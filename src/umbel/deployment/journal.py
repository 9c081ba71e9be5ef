"""What calls of the Grid have found out, so that a later attempt finds the same."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from umbel.deployment.outbox import Persist
from umbel.runtime.checkpoints import Position
from umbel.wire.grid import GridClient
from umbel.wire.messages import JournalEntry

log = logging.getLogger(__name__)

Value = list[int | str]
_PATIENT_PULLS = 100  # in a row that are not those of the earlier attempt


class Journal:
    """Answers calls as an earlier attempt of the run answered them; what is new is recorded before the app sees it.

    The calls are told apart by their number, so an attempt repeats the earlier one as long as the app makes the same calls. One that
    goes another way is told so, and answered anew from there on.
    """

    def __init__(self, client: GridClient, position: Position, persist: Persist) -> None:
        """`position` counts the calls."""
        self._client = client
        self._position = position
        self._persist = persist
        self._earlier: dict[int, Value] | None = None  # None: not read yet
        self._follows = True
        self._missed = 0  # pulls in a row

    def nodes(self, ask: Callable[[], Sequence[int]]) -> list[int]:
        """The nodes that this call found in an earlier attempt, else those that `ask` finds now."""
        call = self._position.call + 1
        value = self._found_earlier(call)
        if value is not None and not all(isinstance(node, int) for node in value):
            self._leave(call)
            value = None
        if value is None:
            value = [*ask()]
            self._record(call, value)
        self._position.call = call
        return [node for node in value if isinstance(node, int)]

    def pulled(self, wanted: set[str], ask: Callable[[], Sequence[str]]) -> list[str]:
        """The ids, out of `wanted`, of the replies that this call gave in an earlier attempt, else of those that `ask` finds now.

        A pull that gives nothing is no call of its own: an app may pull as often as it likes until something comes.
        """
        call = self._position.call + 1
        value = self._found_earlier(call)
        if value is not None and not (value and wanted.issuperset(value)):
            self._missed += 1
            if self._missed < _PATIENT_PULLS:
                return []
            self._leave(call)
            value = None
        self._missed = 0
        if value is None:
            value = [*ask()]
            if not value:
                return []
            self._record(call, value)
        self._position.call = call
        return [name for name in value if isinstance(name, str)]

    def _found_earlier(self, call: int) -> Value | None:
        if not self._follows:
            return None
        if self._earlier is None:
            self._earlier = {entry.call: entry.value for entry in self._client.journal(self._position.call)}
        return self._earlier.get(call)

    def _record(self, call: int, value: Value) -> None:
        if self._follows:
            self._persist(lambda: self._client.record([JournalEntry(call=call, value=value)]))

    def _leave(self, call: int) -> None:
        """The app does not repeat what it did: its earlier calls say nothing about the later ones."""
        self._follows = False
        log.warning(
            "The app goes another way than before it was started again (call %d of the Grid): what it does from here on"
            " may differ from what it did. An app that can be repeated makes the same calls each time.",
            call,
        )
