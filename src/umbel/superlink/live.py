"""What is shown live and not stored: the newest progress of each run."""

from __future__ import annotations

from umbel.wire.api import Event


class Live:
    """The newest `progress` event of each run and phase, numbered so that a reader can tell what it has seen."""

    def __init__(self) -> None:
        self._newest: dict[int, dict[object, tuple[int, Event]]] = {}
        self._count = 0

    def publish(self, run_id: int, events: list[Event]) -> None:
        """Replace the run's progress."""
        for event in events:
            self._count += 1
            self._newest.setdefault(run_id, {})[event.data.get("phase")] = (self._count, event)

    def after(self, run_id: int, number: int) -> list[tuple[int, Event]]:
        """The newest progress of each phase with a number above `number`, in order."""
        return sorted(pair for pair in self._newest.get(run_id, {}).values() if pair[0] > number)

    def forget(self, run_id: int) -> None:
        """The run has finished."""
        self._newest.pop(run_id, None)
