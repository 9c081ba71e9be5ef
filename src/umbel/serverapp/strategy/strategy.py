"""Strategy: the rounds of a federation, and what an algorithm decides in them."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, fields

from umbel.app import safetensors
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.errors import AggregationFailed, CheckpointInvalid, ConfigError, InconsistentReplies
from umbel.serverapp.aggregation.reduction import Reduced, Reduction, Reply
from umbel.serverapp.aggregation.replies import Replies
from umbel.serverapp.grid import Grid, RoundPolicy
from umbel.serverapp.rounds import checkpoint
from umbel.serverapp.rounds.callbacks import BestModel, Callback, RoundResult
from umbel.serverapp.rounds.checkpoint import Progress
from umbel.serverapp.rounds.report import RoundReport
from umbel.serverapp.rounds.result import Result

log = logging.getLogger(__name__)

_FRUITLESS_ROUNDS = 3  # first rounds in which every client may fail before the run does

EvaluateFn = Callable[[int, ArrayRecord], MetricRecord | None]
Trained = tuple[ArrayRecord | None, MetricRecord | None]


@dataclass(eq=False, kw_only=True)
class Strategy(ABC):
    """The rounds of a federation. An algorithm fills in four methods: who trains and evaluates with what, and what becomes of the replies.

    `start` calls, in each round, `configure_train`, `aggregate_train`, `configure_evaluate` and `aggregate_evaluate`; any of the
    five may be overridden. An algorithm that needs no more of its replies than a weighted sum says so by
    `train_reduction`: then the replies are folded where they are, and no more than a few models are ever in memory.
    """

    quorum: float | None = None
    """The usable replies a phase needs, of the nodes asked: a count (int, 1 or more) or a share (float in (0, 1]). With fewer,
    its outcome is not used and the arrays stay as they were. 1.0: every node asked must reply. None: one is enough."""

    deadline: float | None = None
    """Seconds after which a phase continues without the missing replies, once there is a quorum. None: it waits for
    all, up to `timeout`."""

    wait_for_nodes_timeout: float | None = None
    """Seconds that a round waits for enough nodes to be online before it raises NotEnoughNodes. None: as long as it takes."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        if self.quorum is not None:
            valid = self.quorum >= 1 if isinstance(self.quorum, int) else 0 < self.quorum <= 1
            if not valid:
                raise ConfigError(f"quorum must be a count of at least 1 or a share in (0, 1], not {self.quorum}.")
        for name in ("deadline", "wait_for_nodes_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds >= 0:
                raise ConfigError(f"{name} must be a non-negative number of seconds, not {seconds}.")

    # What an algorithm decides

    @abstractmethod
    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The messages that ask nodes to train; none: the round has no training. `config` is the run's own copy of `train_config`: what
        is changed in it stays changed in later rounds.
        """

    @abstractmethod
    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The new global arrays, None to keep the old ones, and the round's train metrics.

        `replies` come in the order of the messages, one for each, failures as replies with an error. They may be gone through
        more than once, which keeps all of them in memory.
        """

    @abstractmethod
    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The messages that ask nodes to evaluate the arrays; none: the round has no evaluation by clients."""

    @abstractmethod
    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """The round's evaluate metrics; `replies` as in `aggregate_train`."""

    def train_reduction(self) -> Reduction | None:
        """How the train replies become one sum, None when the algorithm needs more than that.

        The class that declares a reduction promises that its `aggregate_train(server_round, replies)` is the same as
        `aggregate_reduced(server_round, fold(reduction, replies))`, and `start` calls the latter. A subclass that overrides
        `aggregate_train` takes that promise back: `start` then calls its `aggregate_train` with the replies.
        """
        return None

    def aggregate_reduced(self, server_round: int, reduced: Reduced) -> Trained:
        """As `aggregate_train`, of replies that were folded by `train_reduction`."""
        raise NotImplementedError

    def state(self) -> RecordDict:
        """What the algorithm remembers from round to round, for the checkpoint."""
        return RecordDict()

    def load_state(self, state: RecordDict) -> None:
        """Remember what `state` gave out."""

    def is_in_state(self) -> bool:
        """Whether `state` has all that the strategy remembers now. Where it has not, no checkpoint is kept: what has happened since the
        last one is replayed.
        """
        return True

    def summary(self) -> None:
        """Write the settings that are not the defaults to the log."""
        changed = [f"{s.name}={value!r}" for s in fields(self) if (value := getattr(self, s.name)) != s.default]
        log.info("Strategy: %s(%s)", type(self).__name__, ", ".join(changed))

    # The rounds

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float | None = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: EvaluateFn | None = None,
        *,
        callbacks: Sequence[Callback] = (),
    ) -> Result:
        """Run the rounds and return the final arrays and all metrics.

        A phase of a round (train, evaluate) waits for replies at most `timeout` seconds. The configurations are copied, with
        `server-round` added, into each message. `evaluate_fn(server_round, arrays)` is called with round 0 for the initial arrays and
        after each round. After each round a checkpoint is stored; if the process dies, it resumes from there when it is started
        again, and ends with the same bits. The final arrays are saved as the artifact model.safetensors.
        """
        self.summary()
        progress = self._begin(grid, callbacks, initial_arrays, train_config, evaluate_config)
        grid.starts += 1
        result = progress.result
        reasons: set[str] = set()
        if progress.server_round == 0 and evaluate_fn is not None:
            self._evaluate_at_server(RoundReport(grid, 0, num_rounds), result, evaluate_fn)
        while progress.server_round < num_rounds and result.stopped_early is None:
            report = RoundReport(grid, progress.server_round + 1, num_rounds, reasons)
            self._round(grid, progress, report, timeout, evaluate_fn)
            _check_progress(progress, report, num_rounds)
            _call_back(callbacks, progress, num_rounds)
            report.finished()
            if grid.checkpoints is not None and self.is_in_state():
                parts = checkpoint.encode(progress, self._states(callbacks))
                grid.checkpoints.save(progress.server_round, parts)
        _keep_models(grid, progress, callbacks)
        return result

    def _begin(
        self,
        grid: Grid,
        callbacks: Sequence[Callback],
        initial_arrays: ArrayRecord,
        train_config: ConfigRecord | None,
        evaluate_config: ConfigRecord | None,
    ) -> Progress:
        resumed = self._resumed(grid, callbacks, initial_arrays)
        return resumed or self._new(grid, initial_arrays, train_config, evaluate_config)

    def _new(
        self, grid: Grid, arrays: ArrayRecord, train_config: ConfigRecord | None, evaluate_config: ConfigRecord | None
    ) -> Progress:
        return Progress(
            result=Result(arrays),
            schema=arrays.schema(),
            start=grid.starts,
            train_config=ConfigRecord(train_config),
            evaluate_config=ConfigRecord(evaluate_config),
        )

    def _resumed(self, grid: Grid, callbacks: Sequence[Callback], initial_arrays: ArrayRecord) -> Progress | None:
        data = grid.checkpoints.load() if grid.checkpoints is not None else None
        if data is None:
            return None
        progress, states = checkpoint.decode(data)
        if progress.start != grid.starts:
            return None  # it belongs to another call of `start` in the same app
        owners = self._owners(callbacks)
        if states.keys() != owners.keys():
            raise _misfit(f"it belongs to {', '.join(states)}, not to {', '.join(owners)}")
        if progress.schema != initial_arrays.schema():
            raise _misfit("its run started with arrays of other names, dtypes or shapes")
        for owner, stateful in owners.items():
            stateful.load_state(states[owner])
        if grid.checkpoints is not None:
            grid.checkpoints.resumed()
        log.info("Resuming from the checkpoint of round %d.", progress.server_round)
        return progress

    def _owners(self, callbacks: Sequence[Callback]) -> dict[str, Strategy | Callback]:
        everyone: list[Strategy | Callback] = [self, *callbacks]
        return {f"{index}-{type(stateful).__qualname__}": stateful for index, stateful in enumerate(everyone)}

    def _states(self, callbacks: Sequence[Callback]) -> checkpoint.States:
        return {owner: stateful.state() for owner, stateful in self._owners(callbacks).items()}

    def _round(
        self, grid: Grid, progress: Progress, report: RoundReport, timeout: float | None, evaluate_fn: EvaluateFn | None
    ) -> None:
        result, server_round = progress.result, report.server_round
        arrays, metrics = self._train(grid, report, result.arrays, progress.train_config, timeout)
        if arrays is not None:
            result.arrays = arrays
        if metrics is not None:
            result.train_metrics_clientapp[server_round] = metrics
        metrics = self._evaluate(grid, report, result.arrays, progress.evaluate_config, timeout)
        if metrics is not None:
            result.evaluate_metrics_clientapp[server_round] = metrics
        if evaluate_fn is not None:
            self._evaluate_at_server(report, result, evaluate_fn)
        progress.server_round = server_round

    def _train(
        self, grid: Grid, report: RoundReport, arrays: ArrayRecord, config: ConfigRecord, timeout: float | None
    ) -> Trained:
        server_round = report.server_round
        messages = list(self.configure_train(server_round, arrays, config, grid))
        if not messages:
            return None, None
        report.started("train", len(messages))
        trained = self.exchange_train(grid, report, messages, self.round_policy(len(messages), timeout))
        if trained[0] is None:
            report.note("no new arrays; keeping the previous ones.")
        report.aggregate("train", trained[1])
        return trained

    def exchange_train(
        self, grid: Grid, report: RoundReport, messages: Sequence[Message], policy: RoundPolicy
    ) -> Trained:
        """Send a round's train messages, and aggregate what comes back. An algorithm that needs several exchanges overrides this."""
        server_round = report.server_round
        reduction = self.train_reduction() if folds(self) else None
        if reduction is not None:
            reduced = grid.reduce(messages, reduction, policy)
            with self._telling(report, "train", lambda: reduced.replies):
                if self._enough(report, policy, len(reduced.contents())):
                    return self.aggregate_reduced(server_round, reduced)
        else:
            replies = Replies(grid.exchange(messages, policy))
            with self._telling(report, "train", lambda: _kept(replies)):
                if self.quorum is None or self._enough(report, policy, _with_content(replies)):
                    return self.aggregate_train(server_round, replies)
        return None, None

    def _evaluate(
        self, grid: Grid, report: RoundReport, arrays: ArrayRecord, config: ConfigRecord, timeout: float | None
    ) -> MetricRecord | None:
        messages = list(self.configure_evaluate(report.server_round, arrays, config, grid))
        if not messages:
            return None
        report.started("evaluate", len(messages))
        policy = self.round_policy(len(messages), timeout)
        replies = Replies(grid.exchange(messages, policy))
        metrics = None
        with self._telling(report, "evaluate", lambda: _kept(replies)):
            if self.quorum is None or self._enough(report, policy, _with_content(replies)):
                metrics = self.aggregate_evaluate(report.server_round, replies)
        report.aggregate("evaluate", metrics)
        return metrics

    def _evaluate_at_server(self, report: RoundReport, result: Result, evaluate_fn: EvaluateFn) -> None:
        metrics = evaluate_fn(report.server_round, result.arrays)
        if metrics is not None:
            result.evaluate_metrics_serverapp[report.server_round] = metrics
        report.aggregate("server", metrics)

    def round_policy(self, asked: int, timeout: float | None) -> RoundPolicy:
        """The waiting policy of a phase with this number of nodes, from `quorum`, `deadline` and the `timeout` of `start`."""
        quorum = self.quorum
        if quorum is None:
            return RoundPolicy(timeout, self.deadline, quorum=None if self.deadline is None else 1)
        # 0.07 · 100 is a little above 7
        count = quorum if isinstance(quorum, int) else math.ceil(quorum * asked - 1e-9)
        return RoundPolicy(timeout, self.deadline, quorum=min(count, asked))

    def _enough(self, report: RoundReport, policy: RoundPolicy, usable: int) -> bool:
        enough = self.quorum is None or policy.quorum is None or usable >= policy.quorum
        if not enough:
            report.note(f"{usable} usable replies, fewer than the quorum of {policy.quorum}.")
        return enough

    def drop(self, reply: Reply) -> None:
        """Report that an aggregate excludes this reply; `reply.error` says why."""
        self.dropped[reply.node_id] = reply

    @property
    def dropped(self) -> dict[int, Reply]:
        """The replies of the current phase that aggregates have excluded, by node ID."""
        return self._drops()

    def _drops(self) -> dict[int, Reply]:
        if "_dropped" not in vars(self):  # a subclass need not call our __post_init__
            self._dropped: dict[int, Reply] = {}
        return self._dropped

    def report_drops_of(self, wrapped: Strategy) -> None:
        """For a strategy that wraps another one: report the replies that the other one drops as drops of this one."""
        wrapped._dropped = self._drops()

    @contextmanager
    def _telling(self, report: RoundReport, phase: str, replies: Callable[[], Sequence[Reply]]) -> Iterator[None]:
        self.dropped.clear()
        try:
            yield
        except (AggregationFailed, InconsistentReplies):
            self._tell(report, phase, replies())  # which replies were left out may say why
            raise
        self._tell(report, phase, replies())

    def _tell(self, report: RoundReport, phase: str, replies: Sequence[Reply]) -> None:
        report.replies(phase, [self.dropped.get(reply.node_id, reply) for reply in replies])


def folds(strategy: Strategy) -> bool:
    """Whether `start` may fold the strategy's replies: the rule of `Strategy.train_reduction`."""
    classes = type(strategy).__mro__
    declares = next(index for index, cls in enumerate(classes) if "train_reduction" in vars(cls))
    aggregates = next(index for index, cls in enumerate(classes) if "aggregate_train" in vars(cls))
    return declares <= aggregates and "aggregate_train" not in vars(strategy)


def _with_content(replies: Replies) -> int:
    return sum(1 for reply in replies if reply.has_content())


def _kept(replies: Replies) -> list[Reply]:
    return [
        Reply(reply.metadata.src_node_id, error=reply.error)
        if reply.has_error()
        else Reply(reply.metadata.src_node_id, content=reply.content)
        for reply in replies
    ]


def _check_progress(progress: Progress, report: RoundReport, num_rounds: int) -> None:
    """Raise AggregationFailed when the app has failed on every client in each of the first rounds: more of them train no model either."""
    because = report.nobody_trained_because
    if because is None:
        progress.has_trained = True
    elif not progress.has_trained and progress.server_round >= min(_FRUITLESS_ROUNDS, num_rounds):
        raise AggregationFailed(
            f"Every client failed in {progress.server_round} rounds, so no model was trained. Last error: {because}",
            hint="Fix the ClientApp; `umbel log` shows each client's error.",
        )


def _call_back(callbacks: Sequence[Callback], progress: Progress, num_rounds: int) -> None:
    result, server_round = progress.result, progress.server_round
    ended = RoundResult(
        server_round,
        num_rounds,
        result.arrays,
        result.train_metrics_clientapp.get(server_round),
        result.evaluate_metrics_clientapp.get(server_round),
        result.evaluate_metrics_serverapp.get(server_round),
    )
    for callback in callbacks:
        if callback.on_round_end(ended) and result.stopped_early is None:
            result.stopped_early = callback.reason


def _keep_models(grid: Grid, progress: Progress, callbacks: Sequence[Callback]) -> None:
    result = progress.result
    if result.stopped_early is not None:
        log.info("Stopped after round %d: %s", progress.server_round, result.stopped_early)
    saved = deepcopy(result.arrays)  # it is being stored while the app continues
    grid.save_artifact("model.safetensors", safetensors.encode(saved), progress.server_round)
    best = next((callback for callback in callbacks if isinstance(callback, BestModel)), None)
    if best is not None and best.arrays is not None:
        result.best_round, result.best_arrays = best.server_round, deepcopy(best.arrays)
        grid.save_artifact("best-model.safetensors", safetensors.encode(best.arrays), best.server_round)


def _misfit(reason: str) -> CheckpointInvalid:
    return CheckpointInvalid(
        f"The run's checkpoint does not match this app: {reason}.", hint="Start the changed app as a new run."
    )
