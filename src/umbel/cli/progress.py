"""A run's progress, folded from its events. Pure: no clock, no terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from umbel.wire.api import Event, RunView

PHASES = ("train", "evaluate", "server")
RECENT = 5  # rounds whose mean duration predicts the next ones


@dataclass(frozen=True)
class RoundResult:
    """A round that ended. `metrics` is `{phase: {key: value}}`, `seconds` None where the event did not say."""

    number: int
    num_rounds: int
    clients: int
    failed: int
    seconds: float | None
    metrics: dict[str, dict[str, Any]]


@dataclass
class RunProgress:
    """Where a run is. `done` of `total` clients have answered in the present phase of round `round`."""

    status: str = "pending"
    round: int = 0  # the round now running, or the last that ended
    num_rounds: int = 0  # 0 while unknown
    phase: str = ""
    done: int = 0
    total: int = 0
    failed: int = 0
    in_round: bool = False
    round_started_at: float | None = None
    waiting: str | None = None
    waiting_since: float | None = None
    sites: str = ""  # for which it waits, in a sentence
    results: list[RoundResult] = field(default_factory=list)

    @classmethod
    def of(cls, run: RunView) -> RunProgress:
        """The progress that a run's view tells."""
        waits = run.waiting_for or ""
        waiting, sites = (None, waits) if run.sites else (waits or None, "")
        return cls(status=run.status, round=run.round, num_rounds=run.num_rounds, waiting=waiting, sites=sites)

    def apply(self, event: Event) -> None:
        """Fold one event; kinds that say nothing about progress are ignored."""
        handler = _HANDLERS.get(event.kind)
        if handler is not None:
            handler(self, event.data, event.at)

    def eta(self, now: float) -> float | None:
        """Seconds until the last round ends, from the mean of the latest rounds; None while nothing can be said."""
        recent = [result.seconds for result in self.results[-RECENT:] if result.seconds is not None]
        if not recent or not self.num_rounds:
            return None
        mean = sum(recent) / len(recent)
        gone = self.elapsed(now) if self.in_round else 0.0
        left = self.num_rounds - self.round + (1 if self.in_round else 0)
        return max(0.0, mean * left - min(gone, mean))

    def elapsed(self, now: float) -> float:
        """Seconds since the present round began, 0 between rounds."""
        return max(0.0, now - self.round_started_at) if self.in_round and self.round_started_at else 0.0

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """The latest value of each metric, by phase."""
        latest: dict[str, dict[str, Any]] = {}
        for result in self.results:
            for phase, values in result.metrics.items():
                latest.setdefault(phase, {}).update(values)
        return latest

    def _status(self, data: dict[str, Any], at: float) -> None:
        self.status = str(data.get("status", self.status))
        if self.status in ("running", "finished"):
            self.waiting = None

    def _task(self, data: dict[str, Any], at: float) -> None:
        if data.get("state") == "created":
            self.in_round = False

    def _round_started(self, data: dict[str, Any], at: float) -> None:
        if not self.in_round or data.get("round") != self.round:
            self.round_started_at = at or None
        self.in_round, self.waiting, self.sites = True, None, ""
        self.round = _whole(data, "round", self.round)
        self.num_rounds = _whole(data, "num_rounds", self.num_rounds)
        self.phase = str(data.get("phase", "") or "")
        self.total, self.done, self.failed = _whole(data, "clients"), 0, 0

    def _progress(self, data: dict[str, Any], at: float) -> None:
        self.phase = str(data.get("phase", self.phase) or "")
        self.done, self.total = _whole(data, "done"), _whole(data, "total", self.total)
        self.failed = _whole(data, "failed")

    def _round_finished(self, data: dict[str, Any], at: float) -> None:
        self.round = _whole(data, "round", self.round)
        self.num_rounds = _whole(data, "num_rounds", self.num_rounds)
        self.in_round, self.waiting, self.sites, self.done, self.total, self.failed = False, None, "", 0, 0, 0
        seconds = data.get("seconds")
        metrics = {phase: data[phase] for phase in PHASES if isinstance(data.get(phase), dict) and data[phase]}
        counts = _whole(data, "clients"), _whole(data, "failed")
        spent = float(seconds) if isinstance(seconds, int | float) else None
        self.results.append(RoundResult(self.round, self.num_rounds, *counts, spent, metrics))

    def _waiting(self, data: dict[str, Any], at: float) -> None:
        self.waiting = waiting_text(data)
        since = data.get("since")
        self.waiting_since = float(since) if isinstance(since, int | float) else at or None

    def _sites(self, data: dict[str, Any], at: float) -> None:
        self.sites = str(data.get("text") or "")


def waiting_text(data: dict[str, Any]) -> str | None:
    """The sentence of a `waiting` event; None for one that ends the wait."""
    if not data.get("for"):
        return None
    what = data.get("what")
    return f"waiting for {data['for']}{f': {what}' if what else ''}"


def _whole(data: dict[str, Any], key: str, default: int = 0) -> int:
    value = data.get(key)
    return int(value) if isinstance(value, int | float) else default


_HANDLERS: dict[str, Callable[[RunProgress, dict[str, Any], float], None]] = {
    "status": RunProgress._status,  # noqa: SLF001 - a table of the class's methods
    "task": RunProgress._task,  # noqa: SLF001
    "round-started": RunProgress._round_started,  # noqa: SLF001
    "progress": RunProgress._progress,  # noqa: SLF001
    "round-finished": RunProgress._round_finished,  # noqa: SLF001
    "waiting": RunProgress._waiting,  # noqa: SLF001
    "sites": RunProgress._sites,  # noqa: SLF001
}
