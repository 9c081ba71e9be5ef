"""Metrics of many clients made into one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from umbel.app.recorddict import RecordDict
from umbel.app.records import MetricRecord, MetricValue
from umbel.errors import AggregationFailed
from umbel.serverapp.aggregation.reduction import single_record, weight_of


def weighted_mean(contents: Sequence[RecordDict], weighted_by_key: str) -> MetricRecord:
    """The weighted mean of each metric over the contents that have it; lists element by element.

    Each content holds one MetricRecord with its weight under `weighted_by_key`; the weight itself is not reported. The
    result does not depend on the order of the contents. One whose list is of another length than most is left
    out. Raises AggregationFailed when the weights sum to 0.
    """
    records = [(weight_of(content, weighted_by_key), single_record(content, MetricRecord)) for content in contents]
    strangers = mismatched_metrics([record for _, record in records])
    fitting = [record for index, record in enumerate(records) if index not in strangers]
    if fitting and math.fsum(weight for weight, _ in fitting) <= 0:
        raise AggregationFailed(
            f"The weights {weighted_by_key!r} of all {len(fitting)} replies sum to 0, so a weighted mean does not exist.",
            hint="Have the clients report their number of examples, or choose another key with weighted_by_key.",
        )
    keys = dict.fromkeys(key for _, record in fitting for key in record if key != weighted_by_key)
    means = ((key, _mean([(weight, record[key]) for weight, record in fitting if key in record])) for key in keys)
    return MetricRecord({key: mean for key, mean in means if mean is not None})


def mismatched_metrics(records: Sequence[MetricRecord]) -> dict[int, str]:
    """The records that have a metric of another length than most others have, by index, with the reason in words.

    A number is not a list of length 1. Of lengths that are equally frequent the one seen first counts.
    """
    if not any(isinstance(value, list) for record in records for value in record.values()):
        return {}
    lengths: dict[str, Counter[int | None]] = {}
    for record in records:
        for key, value in record.items():
            lengths.setdefault(key, Counter())[_length(value)] += 1
    usual = {key: counter.most_common(1)[0][0] for key, counter in lengths.items() if len(counter) > 1}
    found = {}
    for index, record in enumerate(records):
        odd = [key for key, length in usual.items() if key in record and _length(record[key]) != length]
        if odd:
            found[index] = f"Its metric {odd[0]!r} differs in length from that of the other replies."
    return found


def _length(value: MetricValue) -> int | None:
    return len(value) if isinstance(value, list) else None


def _mean(values: Sequence[tuple[float, MetricValue]]) -> float | list[float] | None:
    total = math.fsum(weight for weight, _ in values)
    if total <= 0:
        return None  # only clients without examples have this metric
    if isinstance(values[0][1], list):
        columns = zip(*(value for _, value in values if isinstance(value, list)), strict=True)
        weights = [weight for weight, _ in values]
        return [_sum(weights, column) / total for column in columns]
    return _sum([weight for weight, _ in values], [value for _, value in values if not isinstance(value, list)]) / total


def _sum(weights: Sequence[float], values: Sequence[float]) -> float:
    products = [weight * value for weight, value in zip(weights, values, strict=True) if weight]
    try:
        return math.fsum(products)  # exactly rounded: the order does not matter
    except (OverflowError, ValueError):  # infinities of both signs, or a sum beyond the largest float
        return sum(products)
