"""Replies to the queries of `umbel.serverapp.analytics`: sums over the records of a site, never single records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord

Counts = NDArray[np.int64]


class Table(Protocol):
    """Named columns of numbers of equal length: a dict of arrays, a structured array or a data frame."""

    def __getitem__(self, column: str, /) -> Any:
        """The column of this name."""


def answer(message: Message, table: Table) -> Message:
    """Reply to a query of `Analytics`. NaN values count as missing and are omitted.

    Args:
        message: the query.
        table: the records of the site, as named columns.

    Returns:
        A reply with counts and sums.

    Raises:
        ValueError: a column is missing or unsuitable for the query.

    Example:
    >>> @app.query("analytics")
    ... def analytics(message: Message, context: Context) -> Message:
    ...     return answer(message, load_my_records())
    """
    question = message.content.config_records["question"]
    ask = _QUESTIONS.get(str(question.get("kind")))
    if ask is None:
        raise ValueError(f"Unknown query type {question.get('kind')!r}.")
    sums = {name: Array(values) for name, values in ask(table, question).items()}
    return Message(RecordDict({"sums": ArrayRecord(sums)}), reply_to=message)


def _column(table: Table, question: ConfigRecord, role: str) -> NDArray[np.float64]:
    name = str(question[role])
    try:
        return np.asarray(table[name], np.float64)
    except (KeyError, ValueError) as error:
        raise ValueError(f"This site has no numeric column named {name!r}.") from error


def _numbers(question: ConfigRecord, name: str) -> NDArray[np.float64]:
    return np.array(question[name], np.float64)


def _histogram(table: Table, question: ConfigRecord) -> dict[str, Counts]:
    values, edges = _column(table, question, "column"), _numbers(question, "edges")
    present = values[~np.isnan(values)]
    bins = np.searchsorted(edges, present, "right")
    bins[present == edges[-1]] = edges.size - 1  # the last bin holds its upper edge too
    counts = np.bincount(bins, minlength=edges.size + 1)
    return {"counts": counts, "missing": np.array([values.size - present.size])}


def _moments(table: Table, question: ConfigRecord) -> dict[str, NDArray[Any]]:
    values, (low, high) = _column(table, question, "column"), _numbers(question, "bounds")
    present = values[~np.isnan(values)]
    within = np.clip(present, low, high)
    scaled = (within - (low + high) / 2) / ((high - low) / 2)
    counts = np.array([present.size, values.size - present.size, np.count_nonzero(within != present)])
    return {"counts": counts, "sums": np.array([scaled.sum(), (scaled**2).sum()])}


def _survival(table: Table, question: ConfigRecord) -> dict[str, Counts]:
    times, happened = _column(table, question, "time"), _column(table, question, "event")
    grid = _numbers(question, "times")
    present = ~(np.isnan(times) | np.isnan(happened))
    places, events = np.searchsorted(grid, times[present], "left"), happened[present] != 0
    return {
        "events": np.bincount(places[events], minlength=grid.size + 1),
        "censored": np.bincount(places[~events], minlength=grid.size + 1),
        "missing": np.array([np.count_nonzero(~present)]),
    }


_QUESTIONS: dict[str, Callable[[Table, ConfigRecord], dict[str, NDArray[Any]]]] = {
    "histogram": _histogram,
    "moments": _moments,
    "survival": _survival,
}
