"""The table that people read and the JSON that programs read."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.harness.verdicts import Target, Verdict

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

HEADINGS = ("case", "", "unit", "umbel", "flower", "limit", "value", "target", "")


class Case(Protocol):
    """One line of the table."""

    @property
    def name(self) -> str:
        """How it is chosen on the command line."""

    @property
    def title(self) -> str:
        """What is measured."""

    @property
    def unit(self) -> str:
        """Of the products' figures."""

    @property
    def workload(self) -> DataclassInstance:
        """What each run does."""

    @property
    def target(self) -> Target:
        """What Umbel must reach."""


@dataclass(frozen=True)
class Result:
    """A case, the samples of each product, what they show, and what went wrong (empty if nothing did)."""

    case: Case
    samples: Mapping[str, Sequence[float]]
    verdict: Verdict
    errors: Sequence[str] = ()

    @property
    def missed(self) -> bool:
        """True if the target was missed or a run failed."""
        return bool(self.errors) or self.verdict.passed is False

    def word(self) -> str:
        """Pass, MISS, FAILED, or a dash where nothing could be decided."""
        if self.errors:
            return "FAILED"
        return {True: "pass", False: "MISS", None: "-"}[self.verdict.passed]


def table(results: Sequence[Result]) -> str:
    """One line for each case, columns aligned; the products' columns are medians."""
    rows = [HEADINGS, *(row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def row(result: Result) -> tuple[str, ...]:
    """The cells of one line."""
    case, verdict = result.case, result.verdict
    medians = [number(verdict.medians.get(product)) for product in ("umbel", "flower", "limit")]
    value = number(verdict.value) + (" x" if case.target.against and verdict.value is not None else "")
    return (case.name, case.title, case.unit, *medians, value, str(case.target), result.word())


def number(value: float | None) -> str:
    """Three significant digits, or a dash."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """Where and when this is measured; `load` is the number of processes that wanted to run in the last minute."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def as_json(results: Sequence[Result], where: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, with the machine as it was before the first run."""
    return {
        "machine": where,
        "cases": [
            {
                "name": result.case.name,
                "title": result.case.title,
                "unit": result.case.unit,
                "workload": asdict(result.case.workload),
                "target": str(result.case.target),
                "samples": {product: list(values) for product, values in result.samples.items()},
                **asdict(result.verdict),
                "errors": list(result.errors),
            }
            for result in results
        ],
    }
