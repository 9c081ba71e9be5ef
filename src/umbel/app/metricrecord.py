"""MetricRecord: numbers that a client or a server reports."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from umbel.app.record import Record, check_list, fits

MetricValue = int | float | list[int] | list[float]


class MetricRecord(Record[MetricValue]):
    """Names → int, float, or a list of ints or of floats. NumPy numbers become plain ones; bool is refused.

    `keep_input=False` empties the given mapping once its items are taken over.
    """

    __slots__ = ()

    def __init__(self, metric_dict: Mapping[str, MetricValue] | None = None, keep_input: bool = True) -> None:
        """Take over the items of `metric_dict`. Raises TypeError for a value of another type."""
        super().__init__(metric_dict)
        if not keep_input and isinstance(metric_dict, dict):
            metric_dict.clear()

    @classmethod
    def check_value(cls, key: str, value: object) -> MetricValue:
        """See `Record.check_value`."""
        kind = type(value)
        if kind is float or (kind is int and fits(value)):
            return value  # type: ignore[return-value]
        if isinstance(value, list):
            return check_list(key, value, (int, float), cls.__name__)
        if isinstance(value, (np.integer, np.floating)):
            return value.item()
        raise TypeError(
            f"MetricRecord[{key!r}] must be an int, a float or a list of one of them, not {kind.__name__}; an int must fit into 64 bits."
        )

    def count_bytes(self) -> int:
        """8 bytes for each number plus the length of the keys in UTF-8."""
        numbers = sum(len(value) if isinstance(value, list) else 1 for value in self.values())
        return 8 * numbers + sum(len(key.encode()) for key in self)
