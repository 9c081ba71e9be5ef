"""Reports of a round, and the sampling of its nodes."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Sequence

import numpy as np

from umbel.app.message import Error, ErrorCode
from umbel.app.records import MetricRecord
from umbel.serverapp.aggregation.reduction import Reply
from umbel.serverapp.grid import Grid

log = logging.getLogger(__name__)

_SHOWN = 8  # nodes that a line of the log names
_NAMED = (
    64  # cohorts up to this size have each client's metrics recorded, and this many failures are reported individually
)


class RoundReport:
    """The events and metrics of one round, sent to the grid as they happen."""

    def __init__(self, grid: Grid, server_round: int, num_rounds: int, reasons: set[str] | None = None) -> None:
        """The round begins now. `reasons` are those of failures that were told in full before; new ones are added."""
        self._reasons = set() if reasons is None else reasons
        self._grid = grid
        self._round = {"round": server_round, "num_rounds": num_rounds}
        self._began = time.monotonic()
        self._clients: dict[str, int] = {}
        self._failed = 0
        self._metrics: dict[str, dict[str, float]] = {}
        self.nobody_trained_because: str | None = None  # the last client's reason, when the app failed on every client

    @property
    def server_round(self) -> int:
        """The round's number, from 1."""
        return self._round["round"]

    def started(self, phase: str, clients: int) -> None:
        """Report the start of a phase (train or evaluate) with this number of clients."""
        self._clients[phase] = clients
        self._grid.report("round-started", {**self._round, "phase": phase, "clients": clients})

    def replies(self, phase: str, replies: Sequence[Reply]) -> None:
        """What came back in a phase: failures are named, and in a small cohort each client's metrics recorded."""
        failures = [(reply.node_id, reply.error) for reply in replies if reply.error is not None]
        self._failed += len(failures)
        if phase == "train" and len(failures) == self._clients["train"] and all(_is_the_apps(e) for _, e in failures):
            self.nobody_trained_because = _last_line(failures[-1][1])
        for node_id, error in failures[:_NAMED]:
            dropped = {"round": self.server_round, "phase": phase, "node_id": node_id}
            self._grid.report("reply-dropped", {**dropped, "code": int(error.code), "reason": error.reason or ""})
        self._log_failures(phase, failures)
        for reply in replies if len(replies) <= _NAMED else ():
            if reply.error is None and reply.content is not None:
                self._send(phase, scalars(*reply.content.metric_records.values()), reply.node_id)

    def _log_failures(self, phase: str, failures: Sequence[tuple[int, Error]]) -> None:
        """One line for each reason; the first time in a run that it occurs, all there is to know of it."""
        nodes: dict[str, list[int]] = {}
        texts: dict[str, str] = {}
        for node_id, error in failures:
            nodes.setdefault(_last_line(error), []).append(node_id)
            texts.setdefault(_last_line(error), error.reason or "")
        for reason, who in nodes.items():
            text = reason if reason in self._reasons else texts[reason] or reason
            self._reasons.add(reason)
            log.warning("Round %d, %s: excluded %s: %s", self.server_round, phase, _named(who), text)

    def aggregate(self, phase: str, metrics: MetricRecord | None) -> None:
        """The metrics of a phase (train, evaluate or server) as a whole."""
        if metrics is not None:
            self._metrics[phase] = scalars(metrics)
            self._send(phase, self._metrics[phase])

    def _send(self, phase: str, numbers: dict[str, float], node_id: int | None = None) -> None:
        if numbers:
            self._grid.report_metrics(self.server_round, phase, numbers, node_id)

    def note(self, text: str) -> None:
        """Something that a person should know about the round."""
        log.warning("Round %d: %s", self.server_round, text)
        self._grid.report("note", {"text": f"Round {self.server_round}: {text}"})

    def finished(self) -> None:
        """The round has ended: `clients` are those asked to train, or to evaluate where none trained; `failed` counts both phases."""
        seconds = time.monotonic() - self._began
        clients = self._clients.get("train", self._clients.get("evaluate", 0))
        log.debug("Round %d of %d: %.1f s, %s", *self._round.values(), seconds, _words(self._metrics))
        data = {**self._round, "seconds": seconds, **self._metrics, "clients": clients, "failed": self._failed}
        self._grid.report("round-finished", data)


def scalars(*records: MetricRecord) -> dict[str, float]:
    """The single numbers in metric records; lists are for the app, not for a chart."""
    return {key: value for record in records for key, value in record.items() if not isinstance(value, list)}


def _is_the_apps(error: Error) -> bool:
    """Whether trying again would help as little as it did now: not a node that is away or late."""
    away = {
        ErrorCode.MESSAGE_UNAVAILABLE,
        ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
        ErrorCode.NODE_UNAVAILABLE,
        ErrorCode.TIMED_OUT,
    }
    return error.code not in away


def _named(nodes: list[int]) -> str:
    shown = ", ".join(map(str, nodes[:_SHOWN])) + (f" and {len(nodes) - _SHOWN} more" if len(nodes) > _SHOWN else "")
    return f"the reply of node {shown}" if len(nodes) == 1 else f"the replies of nodes {shown}"


def _last_line(error: Error) -> str:
    lines = (error.reason or "").strip().splitlines()  # of a traceback the last line says what happened
    return lines[-1] if lines else f"error {error.code}"


def _words(metrics: dict[str, dict[str, float]]) -> str:
    numbers = (f"{phase} {key} {value:.4g}" for phase, values in metrics.items() for key, value in values.items())
    return ", ".join(numbers) or "no metrics"


_WORD = (1 << 64) - 1


def sample(nodes: Sequence[int], size: int, *, seed: int, server_round: int, phase: str) -> list[int]:
    """`size` of the `nodes`, drawn without replacement, in ascending order; all of them when there are no more.

    The draw depends on the set of nodes, the run's seed, the round and the phase alone. A `range` of a million nodes costs
    neither time nor memory.
    """
    ordered = nodes if isinstance(nodes, range) else sorted(nodes)
    if size >= len(ordered):
        return list(ordered)
    drawn = generator(seed, server_round, phase).choice(len(ordered), size, replace=False, shuffle=False)
    drawn.sort()
    return [ordered[index] for index in drawn.tolist()]


def generator(seed: int, server_round: int, phase: str) -> np.random.Generator:
    """A generator of random numbers for one phase of one round of one run, independent of every other's."""
    purpose = server_round << 32 | zlib.crc32(phase.encode())
    return np.random.Generator(np.random.Philox(key=np.array([seed & _WORD, purpose & _WORD], dtype=np.uint64)))
