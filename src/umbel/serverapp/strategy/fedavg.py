"""FedAvg: the weighted mean of what the clients trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import ErrorCode, Message, MessageType
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.errors import AggregationFailed, ConfigError, InconsistentReplies
from umbel.serverapp.aggregation.metrics import mismatched_metrics, weighted_mean
from umbel.serverapp.aggregation.reduction import Reduced, Reduction, Reply, WeightedMean, fold, malformed, weight_of
from umbel.serverapp.grid import Grid
from umbel.serverapp.rounds.report import sample
from umbel.serverapp.strategy.strategy import Strategy, Trained

MetricsFn = Callable[[list[RecordDict], str], MetricRecord]


@dataclass(eq=False)
class FedAvg(Strategy):
    """Federated averaging (McMahan et al. 2017, arXiv 1602.05629).

    Each round the nodes of a sample train the global arrays w on their own data, and

        w ← Σ_k n_k w_k / Σ_k n_k

    where w_k are the arrays in the reply of node k and n_k the number under `weighted_by_key` in its MetricRecord. Metrics are
    averaged in the same way, each over the replies that have it. A reply that does not fit (no single ArrayRecord and MetricRecord, no
    valid weight, NaN, tensors unlike those of most replies) is left out and named.
    """

    fraction_train: float = 1.0
    """The share of the online nodes that train in a round, in [0, 1]; 0: no training."""
    fraction_evaluate: float = 1.0
    """The share that evaluates, in [0, 1]; 0: no evaluation by clients."""
    min_train_nodes: int = 2
    """Minimum number of nodes that train in a round, whatever the share."""
    min_evaluate_nodes: int = 2
    """Minimum number of nodes that evaluate in a round."""
    min_available_nodes: int = 2
    """Number of nodes that must be online before a phase starts."""
    weighted_by_key: str = "num-examples"
    """The metric that weighs a reply."""
    arrayrecord_key: str = "arrays"
    """The name of the arrays in the messages to clients."""
    configrecord_key: str = "config"
    """The name of the configuration in the messages to clients."""
    train_metrics_aggr_fn: MetricsFn | None = None
    """`(contents, weighted_by_key) -> MetricRecord` instead of the weighted mean. `contents` are those of the usable replies in the
    order of the messages; they no longer contain the arrays, which are folded on arrival."""
    evaluate_metrics_aggr_fn: MetricsFn | None = None
    """The same for evaluation; here `contents` are complete."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        for name in ("fraction_train", "fraction_evaluate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be in [0, 1], not {getattr(self, name)}.")

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the arrays to the round's sample of nodes."""
        nodes = self.sample_nodes(grid, server_round, MessageType.TRAIN, self.fraction_train, self.min_train_nodes)
        return self._messages(nodes, MessageType.TRAIN, server_round, arrays, config)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the new arrays to a separate sample of nodes."""
        nodes = self.sample_nodes(
            grid, server_round, MessageType.EVALUATE, self.fraction_evaluate, self.min_evaluate_nodes
        )
        return self._messages(nodes, MessageType.EVALUATE, server_round, arrays, config)

    def sample_nodes(self, grid: Grid, server_round: int, phase: str, fraction: float, at_least: int) -> list[int]:
        """The nodes of a phase: a fraction of the online nodes, but at least `at_least`; none if the fraction is 0."""
        if fraction == 0:
            return []
        needed = max(self.min_available_nodes, at_least)
        nodes = grid.wait_for_nodes(needed, self.wait_for_nodes_timeout)
        size = max(int(len(nodes) * fraction + 1e-9), at_least)  # 0.29 · 100 is a little below 29
        return sample(nodes, size, seed=grid.run.seed, server_round=server_round, phase=phase)

    def _messages(
        self, nodes: Sequence[int], message_type: str, server_round: int, arrays: ArrayRecord, config: ConfigRecord
    ) -> list[Message]:
        own_config = ConfigRecord({**config, "server-round": server_round})
        content = RecordDict({self.arrayrecord_key: arrays, self.configrecord_key: own_config})
        return [Message(content, node_id, message_type) for node_id in nodes]

    def train_reduction(self) -> Reduction:
        """The weighted mean needs the weighted sum of the replies and no more."""
        return WeightedMean(self.weighted_by_key)

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """Fold the replies as they come, then average."""
        return self.aggregate_reduced(server_round, fold(self.train_reduction(), replies))

    def aggregate_reduced(self, server_round: int, reduced: Reduced) -> Trained:
        """The weighted means of arrays and metrics; None and None when no reply was usable."""
        usable = self.usable_replies(reduced.replies)
        if reduced.sum is None:
            return None, None
        try:
            arrays = reduced.sum.mean()
        except ValueError as error:
            raise AggregationFailed(
                f"The replies of round {server_round} cannot be averaged: {error}",
                hint=f"Have the clients report their number of examples as metric {self.weighted_by_key!r}.",
            ) from error
        return arrays, self.aggregate_metrics(usable, self.train_metrics_aggr_fn)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """The weighted mean of the metrics; None when no reply was usable."""
        usable = self.usable_replies([self._weighed(reply) for reply in replies])
        return self.aggregate_metrics(usable, self.evaluate_metrics_aggr_fn) if usable else None

    def _weighed(self, message: Message) -> Reply:
        node_id = message.metadata.src_node_id
        if message.has_error():
            return Reply(node_id, error=message.error)
        try:
            weight_of(message.content, self.weighted_by_key)
        except ValueError as reason:
            return malformed(node_id, str(reason))
        return Reply(node_id, content=message.content)

    # What strategies that wrap this one rely on, beside `train_reduction` and `aggregate_reduced`

    def usable_replies(self, replies: Sequence[Reply]) -> list[Reply]:
        """The replies without an error; malformed ones are dropped.

        Raises InconsistentReplies if all clients replied and no reply is usable.
        """
        unfit = [reply for reply in replies if reply.error and reply.error.code == ErrorCode.MALFORMED_REPLY]
        for reply in unfit:
            self.drop(reply)
        if unfit and len(unfit) == len(replies):
            first = unfit[0]
            raise InconsistentReplies(
                f"None of the {len(replies)} replies is usable. Node {first.node_id}: {first.error and first.error.reason}",
                hint=f"A reply must contain one ArrayRecord (train only) and one MetricRecord with a number {self.weighted_by_key!r}.",
            )
        return [reply for reply in replies if reply.error is None]

    def aggregate_metrics(self, usable: Sequence[Reply], custom: MetricsFn | None) -> MetricRecord:
        """The metrics of a phase from its usable replies: by `custom` if given, otherwise the weighted mean."""
        contents = [reply.content for reply in usable if reply.content is not None]
        if custom is not None:
            return custom(contents, self.weighted_by_key)
        records = [next(iter(content.metric_records.values())) for content in contents]
        for index, reason in mismatched_metrics(records).items():
            self.drop(malformed(usable[index].node_id, reason))
        return weighted_mean(contents, self.weighted_by_key)
