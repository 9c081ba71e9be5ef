"""Progress and metrics of a run of the older API, reported as Umbel's own strategies do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from umbel.app.recorddict import RecordDict
from umbel.app.records import MetricRecord
from umbel.errors import AggregationFailed
from umbel.serverapp.aggregation.reduction import Reply
from umbel.serverapp.grid import Grid
from umbel.serverapp.rounds.report import RoundReport

_FRUITLESS_ROUNDS = 3  # first rounds in which every client may fail before the run does


class RunReporter:
    """Reports the rounds of one run. Without a grid, it reports nothing."""

    def __init__(self, grid: Grid | None = None, num_rounds: int = 0) -> None:
        """`grid` receives the reports; `num_rounds` is the planned number of rounds."""
        self._grid = grid
        self._num_rounds = num_rounds
        self._report: RoundReport | None = None
        self._reasons: set[str] = set()
        self._has_trained = False

    def round(self, server_round: int) -> RoundReport | None:
        """The report of this round, created at the first call; None without a grid."""
        if self._grid is not None and (self._report is None or self._report.server_round != server_round):
            rounds = max(self._num_rounds, server_round)
            self._report = RoundReport(self._grid, server_round, rounds, self._reasons)
        return self._report

    def started(self, server_round: int, phase: str, clients: int) -> None:
        """Report the start of a phase with this number of clients."""
        report = self.round(server_round)
        if report is not None:
            report.started(phase, clients)

    def replies(self, server_round: int, phase: str, replies: Sequence[Reply]) -> None:
        """Report the clients' replies of a phase."""
        report = self.round(server_round)
        if report is not None:
            report.replies(phase, replies)

    def aggregate(
        self, server_round: int, phase: str, metrics: Mapping[str, object], loss: float | None = None
    ) -> None:
        """Report the aggregated metrics of a phase."""
        report = self.round(server_round)
        if report is not None:
            report.aggregate(phase, numbers(metrics, loss))

    def finished(self, server_round: int) -> None:
        """Report the end of the round. Raises AggregationFailed if every client has failed in each of the first rounds."""
        report = self.round(server_round)
        if report is None:
            return
        report.finished()
        because = report.nobody_trained_because
        if because is None:
            self._has_trained = True
        elif not self._has_trained and server_round >= min(_FRUITLESS_ROUNDS, self._num_rounds):
            raise AggregationFailed(
                f"Every client failed in {server_round} rounds, so no model was trained. Last error: {because}",
                hint="Fix the client; `umbel log` shows each client's error.",
            )


def numbers(metrics: Mapping[str, object], loss: float | None = None) -> MetricRecord:
    """The numeric metrics, preceded by the loss if there is one."""
    kept = {} if loss is None else {"loss": float(loss)}
    for key, value in metrics.items():
        if isinstance(value, (int, float)):
            kept[key] = float(value) if isinstance(value, float) else int(value)
    return MetricRecord(kept)


def reply_content(metrics: Mapping[str, object], loss: float | None = None) -> RecordDict:
    """The content of a Reply with these metrics."""
    return RecordDict({"metrics": numbers(metrics, loss)})
