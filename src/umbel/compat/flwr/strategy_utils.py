"""`flwr.serverapp.strategy.strategy_utils`: the functions that custom strategies use."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.compat.flwr.exceptions import InconsistentMessageReplies
from umbel.compat.flwr.records import adopt_arrays
from umbel.serverapp.aggregation.metrics import weighted_mean
from umbel.serverapp.aggregation.reduction import single_record, weight_of
from umbel.serverapp.aggregation.replies import mean_of
from umbel.serverapp.grid import Grid

__all__ = [
    "aggregate_arrayrecords",
    "aggregate_metricrecords",
    "config_to_str",
    "log_strategy_start_info",
    "sample_nodes",
    "validate_message_reply_consistency",
]

log = logging.getLogger("flwr")


def aggregate_arrayrecords(records: Sequence[RecordDict], weighting_metric_name: str) -> ArrayRecord:
    """The weighted mean of the arrays; the metric of that name is the weight. Raises ValueError if the weights sum to 0."""
    weights = [weight_of(content, weighting_metric_name) for content in records]
    return adopt_arrays(mean_of([single_record(content, ArrayRecord) for content in records], weights))


def aggregate_metricrecords(records: Sequence[RecordDict], weighting_metric_name: str) -> MetricRecord:
    """The weighted mean of each metric; the metric of that name is the weight and is omitted."""
    return weighted_mean(records, weighting_metric_name)


def sample_nodes(grid: Grid, min_available_nodes: int, sample_size: int) -> tuple[list[int], list[int]]:
    """A random sample of the nodes, drawn once enough are online, and all online nodes."""
    nodes = list(grid.wait_for_nodes(max(min_available_nodes, sample_size)))
    return random.sample(nodes, sample_size), nodes


def validate_message_reply_consistency(
    replies: Sequence[RecordDict], weighted_by_key: str, check_arrayrecord: bool
) -> None:
    """Raise InconsistentMessageReplies unless all contents hold one MetricRecord (and one ArrayRecord) with the same keys and a weight."""
    try:
        for kind in (ArrayRecord, MetricRecord) if check_arrayrecord else (MetricRecord,):
            _check_same_keys([single_record(content, kind) for content in replies])
        for content in replies:
            weight_of(content, weighted_by_key)
    except ValueError as reason:
        raise InconsistentMessageReplies(str(reason)) from None


def _check_same_keys(records: Sequence[ArrayRecord | MetricRecord]) -> None:
    if any(record.keys() != records[0].keys() for record in records):
        raise ValueError(f"The {type(records[0]).__name__}s of the replies have different keys.")


def config_to_str(config: ConfigRecord) -> str:
    """The settings in one line, without the bytes in them."""
    return str({key: "<bytes>" if isinstance(value, bytes) else value for key, value in config.items()})


def log_strategy_start_info(
    num_rounds: int, arrays: ArrayRecord, train_config: ConfigRecord | None, evaluate_config: ConfigRecord | None
) -> None:
    """Log the settings with which a strategy starts."""
    log.info("Rounds: %d; arrays: %.2f MB.", num_rounds, arrays.count_bytes() / 2**20)
    log.info("Train config: %s", config_to_str(train_config or ConfigRecord()))
    log.info("Evaluate config: %s", config_to_str(evaluate_config or ConfigRecord()))
