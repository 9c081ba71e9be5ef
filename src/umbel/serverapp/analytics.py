"""Federated analytics: statistics over the records of all sites, of which no record leaves its site.

Every question is answered by sums (counts, sums of values), which the sites form with `umbel.clientapp.analytics.answer` and the server adds
up: in the clear, or by secure aggregation, so that it learns the total and no site's own sums. The statistics are those of the pooled records:
counts exactly, and with them histograms, quantiles (up to their tolerance) and survival curves; means and variances up to rounding.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, ConfigValue
from umbel.errors import AggregationFailed, ConfigError
from umbel.privacy.secagg.parameters import derive
from umbel.privacy.secagg.quantization import Encoding
from umbel.serverapp.aggregation.reduction import Reply, malformed, single_record
from umbel.serverapp.grid import Grid, RoundPolicy

log = logging.getLogger(__name__)

_LARGEST_SUM = 2.0**31  # of a site's values, each scaled to ± 1
_BINS = 64  # that a quantile is narrowed by in one exchange

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]
Sums = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Histogram:
    """`counts[i]` values lie in [edges[i], edges[i + 1]), in the last bin up to and with its upper edge; `below` and `above` lie outside."""

    edges: Numbers
    counts: Counts
    below: int
    above: int
    missing: int


@dataclass(frozen=True)
class Moments:
    """The number of values, their mean and their sample variance (divided by count - 1; NaN for fewer than two).

    `outside` values lay beyond the bounds and were counted as if at them.
    """

    count: int
    mean: float
    variance: float
    missing: int
    outside: int


@dataclass(frozen=True)
class Survival:
    """The Kaplan-Meier curve: `survival[i]` is the estimated chance to be without the event after `times[i]`.

    `at_risk` are those under observation just before, `events` those who had the event at that time; `standard_error` is Greenwood's.
    """

    times: Numbers
    survival: Numbers
    standard_error: Numbers
    at_risk: Counts
    events: Counts
    missing: int


@dataclass
class Analytics:
    """Asks the nodes of a grid for statistics. A node that fails is left out and named in the log.

    Raises AggregationFailed when no node answers; with `secure`, SecureAggregationFailed when too few do.
    """

    grid: Grid
    secure: bool = False
    """Whether sums are aggregated securely; the ClientApp then needs `umbel.clientapp.mod.secaggplus_mod`."""
    nodes: Sequence[int] | None = None
    """Who is asked. None: all that are online."""
    timeout: float | None = 3600
    """Seconds to wait for answers."""
    message_type: str = "query.analytics"
    """The type of the questions."""
    dropout_tolerance: float = 0.2
    """As in SecAggPlus."""
    corruption_tolerance: float = 0.1
    """As in SecAggPlus."""

    def histogram(self, column: str, edges: Sequence[float]) -> Histogram:
        """How many values lie between edges, which must ascend."""
        points = _ascending("edges", edges, 2)
        sums = self._ask({"kind": "histogram", "column": column, "edges": points.tolist()})
        counts = sums["counts"]
        return Histogram(points, counts[1:-1], int(counts[0]), int(counts[-1]), int(sums["missing"][0]))

    def quantile(self, column: str, q: float, bounds: tuple[float, float], tolerance: float) -> float:
        """The smallest value that at least a share q of all values does not exceed, within ± `tolerance` / 2.

        It is narrowed down by histograms between `bounds`, 64 bins in each exchange. Raises AggregationFailed when there is no value, or when
        the quantile lies outside of the bounds.
        """
        if not (0 <= q <= 1 and tolerance > 0):
            raise ConfigError(f"q must be in [0, 1] and tolerance greater than 0, not {q} and {tolerance}.")
        low, high = _ascending("bounds", bounds, 2)
        while True:
            found = self.histogram(column, np.linspace(low, high, _BINS + 1).tolist())
            low, high = _narrowed(found, q)
            if high - low <= max(tolerance, 4 * math.ulp(max(abs(low), abs(high)))):
                return float((low + high) / 2)

    def mean_and_variance(self, column: str, bounds: tuple[float, float]) -> Moments:
        """Mean and sample variance. `bounds` are what values can be at most, known beforehand: they keep the sums in range."""
        low, high = _ascending("bounds", bounds, 2).tolist()
        sums = self._ask({"kind": "moments", "column": column, "bounds": [low, high]})
        count, missing, outside = sums["counts"].tolist()
        if count == 0:
            return Moments(0, math.nan, math.nan, missing, outside)
        first, second = (sums["sums"] / count).tolist()
        half = (high - low) / 2
        variance = max(second - first**2, 0.0) * count / (count - 1) * half**2 if count > 1 else math.nan
        return Moments(count, (low + high) / 2 + first * half, variance, missing, outside)

    def kaplan_meier(self, time: str, event: str, times: Sequence[float]) -> Survival:
        """The Kaplan-Meier curve at `times`, which must ascend. `event` is 0 where the observation ended without one.

        An event between two of the times counts as at the later one: give all times that occur (every day, say) for the exact curve.
        """
        points = _ascending("times", times, 1)
        sums = self._ask({"kind": "survival", "time": time, "event": event, "times": points.tolist()})
        events, leaving = sums["events"], sums["events"] + sums["censored"]
        at_risk = leaving[::-1].cumsum()[::-1][:-1]
        events = events[:-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            survival: Numbers = np.cumprod(np.where(at_risk > 0, 1 - events / at_risk, 1.0), dtype=np.float64)
            greenwood = np.cumsum(np.where(events > 0, events / (at_risk * (at_risk - events)), 0.0))
            errors: Numbers = np.where(survival > 0, survival * np.sqrt(greenwood), 0.0)
        return Survival(points, survival, errors, at_risk, events, int(sums["missing"][0]))

    # The sums

    def _ask(self, question: Mapping[str, ConfigValue]) -> Sums:
        nodes = list(self.grid.get_node_ids() if self.nodes is None else self.nodes)
        content = RecordDict({"question": ConfigRecord(question)})
        messages = [Message(content, node, self.message_type) for node in nodes]
        if not messages:
            raise AggregationFailed("No nodes are available to query.")
        return self._secure_sums(messages) if self.secure else self._plain_sums(messages)

    def _plain_sums(self, messages: Sequence[Message]) -> Sums:
        sums: Sums = {}
        replies = []
        for reply in self.grid.exchange(messages, RoundPolicy(self.timeout)):
            replies.append(_added(sums, reply))
        _tell(replies)
        if not sums:
            reason = replies[0].error.reason if replies[0].error else None
            raise AggregationFailed(f"None of {len(messages)} nodes replied. Node {replies[0].node_id}: {reason}")
        return sums

    def _secure_sums(self, messages: Sequence[Message]) -> Sums:
        from umbel.serverapp.securesum import SecureSum  # loads cryptography: only where it is used

        parameters = derive(len(messages), self.dropout_tolerance, self.corruption_tolerance)
        half = min(2**51, 2**62 // len(messages))
        encoding = Encoding("uint64", half, 1, _LARGEST_SUM, 1.0)
        session = SecureSum(self.grid, messages, RoundPolicy(self.timeout), parameters, encoding)
        try:
            total = session.run()
        finally:
            _tell(session.replies())
        tensors = zip(session.form.tensors, total.arrays, strict=True)
        return {t.name: (v if t.dtype == "float64" else v.astype(np.int64)).reshape(t.shape) for t, v in tensors}


def _added(sums: Sums, reply: Message) -> Reply:
    node = reply.metadata.src_node_id
    if reply.has_error():
        return Reply(node, error=reply.error)
    try:
        answer = {name: array.numpy() for name, array in single_record(reply.content, ArrayRecord).items()}
    except ValueError as error:
        return malformed(node, str(error))
    if sums and {name: v.shape for name, v in answer.items()} != {name: v.shape for name, v in sums.items()}:
        return malformed(node, "Its sums do not match the query.")
    for name, values in answer.items():
        sums[name] = sums[name] + values if name in sums else values
    return Reply(node)


def _tell(replies: Sequence[Reply]) -> None:
    for reply in replies:
        if reply.error is not None:
            lines = (reply.error.reason or "no reason given").strip().splitlines()
            log.warning("Excluded the reply of node %d: %s", reply.node_id, lines[-1])


def _ascending(name: str, values: Sequence[float], at_least: int) -> Numbers:
    points = np.array(values, np.float64)
    if points.ndim != 1 or points.size < at_least or not np.isfinite(points).all() or not (np.diff(points) > 0).all():
        raise ConfigError(f"{name} must contain at least {at_least} finite numbers in ascending order.")
    return points


def _narrowed(found: Histogram, q: float) -> tuple[float, float]:
    """The bin in which the quantile lies."""
    total = found.below + int(found.counts.sum()) + found.above
    rank = max(math.ceil(q * total - 1e-9), 1)
    place = int(np.searchsorted(found.below + found.counts.cumsum(), rank))
    if not total or rank <= found.below or place == found.counts.size:
        raise AggregationFailed(
            f"The quantile is outside [{found.edges[0]}, {found.edges[-1]}]: {found.below} of {total} values are below, {found.above} above.",
            hint="Use wider bounds.",
        )
    return found.edges[place], found.edges[place + 1]
