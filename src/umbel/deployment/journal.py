"""Journal of Grid calls for later attempts, and checkpoints that truncate it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from umbel.app.safetensors import Part
from umbel.deployment.transfer import Persist
from umbel.errors import NotEnoughNodes
from umbel.runtime.checkpoints import Checkpoints, Position, Save
from umbel.wire.messages import Forget, JournalEntry
from umbel.wire.programs import GridClient


class CoveringCheckpoints(Checkpoints):
    """The checkpoints of the first `Strategy.start` of an app.

    A later attempt replays the exchanges before and after that call from stored replies, without work for the clients. A second call of
    `start` stores no checkpoints: they would replace those of the first call, whose replies have been deleted.
    """

    def __init__(self, save: Save, earlier: bytes | None, forget: Callable[[Forget], None]) -> None:
        """`forget` is called with the range that a stored checkpoint covers."""
        super().__init__(save, earlier)
        self._forget = forget
        self._starts = 0
        self._before = (0, 0)  # exchange and call number before the first start

    def load(self) -> memoryview | None:
        """The newest checkpoint of an earlier attempt; None if there is none, and for every call but the first."""
        self._starts += 1
        if self._starts > 1:
            return None
        self._before = self.position.exchange, self.position.call
        return super().load()

    def save(self, server_round: int, parts: Sequence[Part]) -> None:
        """Queue this checkpoint, in place of the previous one."""
        if self._starts <= 1:
            super().save(server_round, parts)

    def _saving(self) -> Callable[[], None]:
        durable = super()._saving()
        sequence, call = self._before
        covered = Forget(
            sequence=self.position.exchange, call=self.position.call, after_sequence=sequence, after_call=call
        )

        def forget() -> None:
            durable()
            self._forget(covered)

        return forget


log = logging.getLogger(__name__)

Value = list[int | str]
_MOST_MISSES = 100  # consecutive pulls that do not match the earlier attempt


class CallJournal:
    """Answers Grid calls as in an earlier attempt of the run; a new answer is recorded before the app sees it.

    Calls are identified by their number, so an attempt repeats the earlier one while the app makes the same calls. When the app
    diverges, a warning is logged and all further calls are executed.
    """

    def __init__(self, client: GridClient, position: Position, persist: Persist) -> None:
        """`position` counts the calls and the exchanges."""
        self._client = client
        self._position = position
        self._persist = persist
        self._earlier: dict[int, Value] | None = None  # by call number; None: not read yet
        self._exchanges = 0  # of earlier attempts
        self._follows = True
        self._misses = 0  # pulls in a row

    def nodes(self, at_least: int, ask: Callable[[], Sequence[int]]) -> list[int]:
        """The nodes that this call returned in an earlier attempt, else the result of `ask`.

        Raises NotEnoughNodes for fewer than `at_least` nodes.
        """
        call = self._position.call + 1
        value = self._recorded(call)
        if value is not None and _replies_in(value):
            self._diverge(call)
            value = None
        if value is None:
            value = [*ask()]
            self._record(call, value)
        self._position.call = call
        found = [node for node in value if isinstance(node, int)]
        if len(found) < at_least:
            raise _not_enough(at_least, len(found))
        return found

    def pulled(self, wanted: set[str], ask: Callable[[], Sequence[str]]) -> list[str]:
        """The message IDs, out of `wanted`, whose replies this call returned in an earlier attempt, else the result of `ask`.

        An empty pull is not counted as a call, because apps poll until a reply arrives. The record therefore contains the number of
        exchanges before it, so that the reply arrives at the same point. While exchanges remain to be repeated, a pull without a
        record returns nothing.
        """
        call = self._position.call + 1
        value = self._recorded(call)
        if value is not None:
            replies = _replies_in(value)
            if not replies or value[0] != self._position.exchange or not wanted.issuperset(replies):
                return self._missed(call)
        elif self._follows and self._position.exchange < self._exchanges:
            return self._missed(call)
        else:
            replies = [*ask()]
            if not replies:
                return []
            self._record(call, [self._position.exchange, *replies])
        self._misses = 0
        self._position.call = call
        return replies

    def _missed(self, call: int) -> list[str]:
        """Return nothing, as in the earlier attempt; after too many such pulls, the app counts as diverged."""
        self._misses += 1
        if self._misses == _MOST_MISSES:
            self._diverge(call)
        return []

    def _recorded(self, call: int) -> Value | None:
        if not self._follows:
            return None
        if self._earlier is None:
            known = self._client.journal(self._position.call)
            self._earlier = {entry.call: entry.value for entry in known.entries}
            self._exchanges = known.sequence
        return self._earlier.get(call)

    def _record(self, call: int, value: Value) -> None:
        if self._follows:
            self._persist(lambda: self._client.record([JournalEntry(call=call, value=value)]))

    def _diverge(self, call: int) -> None:
        """Stop using the journal: the app makes other calls than in the earlier attempt."""
        self._follows = False
        log.warning(
            "The app has diverged from its earlier attempt (at Grid call %d): from here on its results"
            " may differ. A reproducible app makes the same calls in every attempt.",
            call,
        )


def _replies_in(value: Value) -> list[str]:
    """The message IDs in the record of a pull; empty for a record of another call."""
    return [name for name in value if isinstance(name, str)]


def _not_enough(at_least: int, there: int) -> NotEnoughNodes:
    return NotEnoughNodes(
        f"{at_least} nodes are required, but only {there} are online.",
        hint="Start more SuperNodes, or lower the strategy's min_available_nodes or fractions.",
    )
