"""The command line of a benchmark with several products: measure in turns, print the table, hold it against the targets.

Each repeat of a case runs the products one after the other, so that all see the same machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar, cast

from benchmarks.harness import report
from benchmarks.harness.report import Result, as_json, machine, table
from benchmarks.harness.verdicts import judge


class Failed(Exception):
    """A run that ended badly, with what it printed."""


class Case(report.Case, Protocol):
    """What is measured, and on which products."""

    @property
    def products(self) -> Sequence[str]:
        """Their names."""

    def quick(self) -> Case:
        """The same with as few rounds as still give a number."""


C = TypeVar("C", bound=Case)


@dataclass(frozen=True)
class Bench(Generic[C]):
    """The cases, and how a figure is had.

    `prepare` installs a product and runs it once, so that nothing that is measured pays for a first time. `sample` gives a case's
    figure from one run; it raises Failed, or ValueError for a run that did not do what it should.
    """

    cases: Sequence[C]
    products: Sequence[str]
    prepare: Callable[[str], None]
    sample: Callable[[C, str], float]


def main(bench: Bench[C], description: str | None) -> int:
    """Prepare, measure, print; 1 if --check is given and a target was missed."""
    options = parse(bench, description)
    where = machine()
    if where["load"] > where["cpus"] / 2:
        say(f"others are at work on this machine (load {where['load']:.1f}): expect noise, and worse figures for all")
    cases = [case for case in bench.cases if not options.only or case.name in options.only]
    used = [name for name in options.products if any(name in case.products for case in cases)]
    for name in used:
        say(f"preparing {name}")
        bench.prepare(name)
    results = [measure(bench, case, used, options) for case in cases]
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(as_json(results, where), indent=1) + "\n", encoding="utf-8")
    return int(options.check and any(result.missed for result in results))


def parse(bench: Bench[C], description: str | None) -> argparse.Namespace:
    """The command line."""
    names = [case.name for case in bench.cases]
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="one repeat, and as few of Flower's rounds as possible")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"cases: {', '.join(names)}")
    parser.add_argument("--products", nargs="+", choices=bench.products, default=bench.products, help="default: all")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each product in each case (default 3)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write samples, medians and verdicts to a file")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a target is missed")
    return parser.parse_args()


def measure(bench: Bench[C], case: C, products: Sequence[str], options: argparse.Namespace) -> Result:
    """Run a case on each of its products, in turn, several times; a product that failed is not tried again."""
    samples: dict[str, list[float]] = {name: [] for name in products if name in case.products}
    case = cast("C", case.quick()) if options.quick else case
    errors: dict[str, str] = {}
    for _ in range(1 if options.quick else options.repeats):
        for name, values in samples.items():
            if name not in errors:
                try:
                    values.append(bench.sample(case, name))
                except (Failed, ValueError) as error:
                    errors[name] = str(error)
                    say(f"{case.name}: {name} failed: {error}")
    return Result(case, samples, judge(case.target, samples), list(errors.values()))


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)
