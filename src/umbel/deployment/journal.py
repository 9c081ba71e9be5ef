"""The journal of Grid calls, and checkpoints in a deployment."""

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
    """Where the first `Strategy.start` of an app keeps its checkpoints.

    A later attempt goes through what comes before that call and after it again, without a client working for it: the replies are kept.
    So a second call of `start` keeps no checkpoint: it would take the place of the first one's, whose replies are gone.
    """

    def __init__(self, save: Save, earlier: bytes | None, forget: Callable[[Forget], None]) -> None:
        """`forget` is called with the range that a stored checkpoint covers."""
        super().__init__(save, earlier)
        self._forget = forget
        self._starts = 0
        self._before = (0, 0)  # exchanges and calls before the first start

    def load(self) -> memoryview | None:
        """The newest checkpoint of an earlier attempt, None when there is none."""
        self._starts += 1
        if self._starts > 1:
            return None
        self._before = self.position.exchange, self.position.call
        return super().load()

    def save(self, server_round: int, parts: Sequence[Part]) -> None:
        """Keep this checkpoint instead of the one before; returns at once."""
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
_PATIENT_PULLS = 100  # in a row that are not those of the earlier attempt


class CallJournal:
    """Answers calls as an earlier attempt of the run answered them; what is new is recorded before the app sees it.

    The calls are told apart by their number, so an attempt repeats the earlier one as long as the app makes the same calls. One that
    diverges gets a warning, and its calls are executed from there on.
    """

    def __init__(self, client: GridClient, position: Position, persist: Persist) -> None:
        """`position` counts the calls, and the exchanges."""
        self._client = client
        self._position = position
        self._persist = persist
        self._earlier: dict[int, Value] | None = None  # None: not read yet
        self._exchanges = 0  # of earlier attempts
        self._follows = True
        self._misses = 0  # pulls in a row

    def nodes(self, at_least: int, ask: Callable[[], Sequence[int]]) -> list[int]:
        """The nodes that this call found in an earlier attempt, else those that `ask` finds now.

        Raises NotEnoughNodes when either found fewer than `at_least`.
        """
        call = self._position.call + 1
        value = self._found_earlier(call)
        if value is not None and _replies_in(value):
            self._leave(call)
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
        """The ids, out of `wanted`, of the replies that this call gave in an earlier attempt, else of those that `ask` finds now.

        An empty pull is not recorded as a call: an app may pull repeatedly until something arrives. So that it arrives
        at the same place, the number of exchanges before is recorded too; and while there are exchanges to be repeated, a pull of which
        nothing is recorded gave nothing.
        """
        call = self._position.call + 1
        value = self._found_earlier(call)
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
        """This pull gave nothing in the earlier attempt; one that gave something, or another call, is to come."""
        self._misses += 1
        if self._misses == _PATIENT_PULLS:
            self._leave(call)
        return []

    def _found_earlier(self, call: int) -> Value | None:
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

    def _leave(self, call: int) -> None:
        """The app does not repeat what it did: its earlier calls say nothing about the later ones."""
        self._follows = False
        log.warning(
            "The app has diverged from its earlier attempt (at Grid call %d): from here on its results"
            " may differ. A reproducible app makes the same calls in every attempt.",
            call,
        )


def _replies_in(value: Value) -> list[str]:
    """The ids of the replies that a pull gave; none where the value is of another call."""
    return [name for name in value if isinstance(name, str)]


def _not_enough(at_least: int, there: int) -> NotEnoughNodes:
    return NotEnoughNodes(
        f"{at_least} nodes are required, but only {there} are online.",
        hint="Start more SuperNodes, or lower the strategy's min_available_nodes or fractions.",
    )
