"""`flwr.serverapp.strategy`: Umbel's strategies with the behaviour of Flower's."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.compat.flwr import records
from umbel.compat.flwr.app_state import memory
from umbel.compat.flwr.exceptions import under_flowers_names
from umbel.compat.flwr.records import adopt_arrays
from umbel.compat.flwr.strategy_utils import aggregate_metricrecords, validate_message_reply_consistency
from umbel.serverapp import strategy as umbels
from umbel.serverapp.aggregation.reduction import Reply
from umbel.serverapp.grid import Grid
from umbel.serverapp.rounds.callbacks import Callback
from umbel.serverapp.rounds.checkpoint import Progress
from umbel.serverapp.rounds.report import RoundReport
from umbel.serverapp.rounds.result import Result
from umbel.serverapp.strategy.fedavg import MetricsFn
from umbel.serverapp.strategy.krum import krum_order, squared_distances
from umbel.serverapp.strategy.strategy import EvaluateFn, Trained

__all__ = [
    "Bulyan",
    "DifferentialPrivacyClientSideAdaptiveClipping",
    "DifferentialPrivacyClientSideFixedClipping",
    "DifferentialPrivacyServerSideAdaptiveClipping",
    "DifferentialPrivacyServerSideFixedClipping",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedMedian",
    "FedProx",
    "FedTrimmedAvg",
    "FedXgbBagging",
    "FedXgbCyclic",
    "FedYogi",
    "Krum",
    "MultiKrum",
    "QFedAvg",
    "Result",
    "Strategy",
]

S = TypeVar("S")

_ROUND = "server-round"

log = logging.getLogger("flwr")


class Strategy(umbels.Strategy):
    """Rounds that modify the given configurations, pass copies of arrays to apps and raise Flower's exceptions."""

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
        """Run the rounds and return the final arrays and all metrics."""
        self._memory = memory(self)
        with under_flowers_names():
            return super().start(
                grid,
                initial_arrays,
                num_rounds,
                timeout,
                train_config,
                evaluate_config,
                evaluate_fn,
                callbacks=callbacks,
            )

    def is_in_state(self) -> bool:
        """See `umbel.serverapp.strategy.Strategy`. An app's own class knows nothing of states: it remembers nothing, or what it did at the start."""
        return super().is_in_state() and memory(self) == self._memory

    def _begin(
        self,
        grid: Grid,
        callbacks: Sequence[Callback],
        initial_arrays: ArrayRecord,
        train_config: ConfigRecord | None,
        evaluate_config: ConfigRecord | None,
    ) -> Progress:
        progress = super()._begin(grid, callbacks, initial_arrays, train_config, evaluate_config)
        progress.train_config = _shared(train_config, progress.train_config)
        progress.evaluate_config = _shared(evaluate_config, progress.evaluate_config)
        return progress

    def _train(
        self, grid: Grid, report: RoundReport, arrays: ArrayRecord, config: ConfigRecord, timeout: float | None
    ) -> Trained:
        trained, metrics = super()._train(grid, report, adopt_arrays(arrays), config, timeout)
        return None if trained is None else adopt_arrays(trained), metrics


def _shared(given: ConfigRecord | None, own: ConfigRecord) -> ConfigRecord:
    """The app's configuration with the changes made in earlier rounds."""
    if given is None:
        return own
    given.clear()
    given.update(own)
    return given


class FedAvg(Strategy, umbels.FedAvg):
    """FedAvg with the arguments and defaults of Flower."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        self.train_metrics_aggr_fn = self.train_metrics_aggr_fn or aggregate_metricrecords
        self.evaluate_metrics_aggr_fn = self.evaluate_metrics_aggr_fn or aggregate_metricrecords

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Configure as Umbel's strategy does, and also write the round into `config`."""
        config[_ROUND] = server_round
        return super().configure_train(server_round, arrays, config, grid)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Configure as Umbel's strategy does, and also write the round into `config`."""
        config[_ROUND] = server_round
        return super().configure_evaluate(server_round, arrays, config, grid)

    def aggregate_metrics(self, usable: Sequence[Reply], custom: MetricsFn | None) -> MetricRecord:
        """The weighted mean also where Flower's own function for it was passed."""
        return super().aggregate_metrics(usable, None if custom is aggregate_metricrecords else custom)

    def summary(self) -> None:
        """Write the main settings to the log."""
        log.info("Fraction: train %.2f, evaluate %.2f", self.fraction_train, self.fraction_evaluate)
        log.info("Nodes, at least: train %d, evaluate %d", self.min_train_nodes, self.min_evaluate_nodes)
        log.info("Keys: %s, %s, %s", self.weighted_by_key, self.arrayrecord_key, self.configrecord_key)

    # What subclasses in apps call, though its names begin with an underscore.

    def _construct_messages(self, record: RecordDict, node_ids: list[int], message_type: str) -> list[Message]:
        """Create messages with the same content for all nodes."""
        return [records.Message(record, node_id, message_type) for node_id in node_ids]

    def _check_and_log_replies(
        self, replies: Iterable[Message], is_train: bool, validate: bool = True
    ) -> tuple[list[Message], list[Message]]:
        """Split replies into those with content and those with errors. With `validate`, raises InconsistentMessageReplies."""
        messages = list(replies)
        valid = [message for message in messages if message.has_content()]
        errors = [message for message in messages if message.has_error()]
        log.info("aggregate_%s: %d results, %d failures", "train" if is_train else "evaluate", len(valid), len(errors))
        for message in errors:
            log.info("Node %d: %s", message.metadata.src_node_id, message.error.reason)
        if validate and valid:
            validate_message_reply_consistency([each.content for each in valid], self.weighted_by_key, is_train)
        return valid, errors


def _in_order(names: str) -> Callable[[type[S]], type[S]]:
    """Accept positional arguments in the order of these names, as Flower's strategy does; others are keyword-only."""

    def reorder(cls: type[S]) -> type[S]:
        own = cls.__init__
        parameters = dict(inspect.signature(own).parameters)
        this = parameters.pop("self")
        placed = [parameters.pop(name).replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names.split()]
        named = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters.values()]
        signature = inspect.Signature([this, *placed, *named])

        def init(self: S, *args: Any, **settings: Any) -> None:
            given = signature.bind(self, *args, **settings).arguments
            own(**given)

        init.__signature__ = signature  # type: ignore[attr-defined]
        cls.__init__ = init  # type: ignore[assignment]
        return cls

    return reorder


_SAMPLING = "fraction_train fraction_evaluate min_train_nodes min_evaluate_nodes min_available_nodes"
_KEYS = "weighted_by_key arrayrecord_key configrecord_key train_metrics_aggr_fn evaluate_metrics_aggr_fn"


class FedAvgM(FedAvg, umbels.FedAvgM):
    """FedAvgM with the arguments and defaults of Flower."""


class FedAdagrad(FedAvg, umbels.FedAdagrad):
    """FedAdagrad with the arguments and defaults of Flower."""


class FedAdam(FedAvg, umbels.FedAdam):
    """FedAdam with the arguments and defaults of Flower."""


class FedYogi(FedAvg, umbels.FedYogi):
    """FedYogi with the arguments and defaults of Flower."""


class FedMedian(FedAvg, umbels.FedMedian):
    """FedMedian with the arguments and defaults of Flower."""


class FedTrimmedAvg(FedAvg, umbels.FedTrimmedAvg):
    """FedTrimmedAvg with the arguments and defaults of Flower."""


class FedProx(FedAvg, umbels.FedProx):
    """FedProx with the arguments and defaults of Flower."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Configure as Umbel's strategy does, and also write the round and μ into `config`."""
        config["proximal-mu"] = float(self.proximal_mu)
        return super().configure_train(server_round, arrays, config, grid)


@_in_order(f"{_SAMPLING} num_malicious_nodes {_KEYS}")
class Krum(FedAvg, umbels.Krum):
    """Krum with the arguments and defaults of Flower."""


@_in_order(f"{_SAMPLING} num_malicious_nodes num_nodes_to_select {_KEYS}")
class MultiKrum(FedAvg, umbels.MultiKrum):
    """MultiKrum with the arguments and defaults of Flower."""


@_in_order(f"{_SAMPLING} num_malicious_nodes {_KEYS} selection_rule")
class Bulyan(FedAvg, umbels.Bulyan):
    """Like `umbel.serverapp.strategy.Bulyan`, but all models are selected by their initial scores instead of one after another."""

    def _selected(self, arrays: Sequence[ArrayRecord], usable: Sequence[Reply], theta: int) -> list[ArrayRecord]:
        if self.selection_rule is not None:
            return super()._selected(arrays, usable, theta)
        nodes = [reply.node_id for reply in usable]
        best = krum_order(squared_distances(arrays), self.num_malicious_nodes, nodes)[:theta]
        return [arrays[index] for index in best]


@_in_order(f"client_learning_rate q train_loss_key {_SAMPLING} {_KEYS}")
class QFedAvg(FedAvg, umbels.QFedAvg):
    """QFedAvg with the arguments and defaults of Flower."""


class FedXgbBagging(FedAvg, umbels.FedXgbBagging):
    """FedXgbBagging with the arguments and defaults of Flower."""


class FedXgbCyclic(FedAvg, umbels.FedXgbCyclic):
    """FedXgbCyclic with the arguments and defaults of Flower."""


class DifferentialPrivacyServerSideFixedClipping(Strategy, umbels.DifferentialPrivacyServerSideFixedClipping):
    """DifferentialPrivacyServerSideFixedClipping with the arguments and defaults of Flower."""


class DifferentialPrivacyServerSideAdaptiveClipping(Strategy, umbels.DifferentialPrivacyServerSideAdaptiveClipping):
    """DifferentialPrivacyServerSideAdaptiveClipping with the arguments and defaults of Flower."""


class DifferentialPrivacyClientSideFixedClipping(Strategy, umbels.DifferentialPrivacyClientSideFixedClipping):
    """DifferentialPrivacyClientSideFixedClipping with the arguments and defaults of Flower."""


class DifferentialPrivacyClientSideAdaptiveClipping(Strategy, umbels.DifferentialPrivacyClientSideAdaptiveClipping):
    """DifferentialPrivacyClientSideAdaptiveClipping with the arguments and defaults of Flower."""
