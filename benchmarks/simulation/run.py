"""Measure simulation in Umbel against Flower, and against the limit, on this machine: `python run.py --help`.

Each repeat of a case runs the products one after the other, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from benchmarks.harness.report import Result, as_json, machine, table
from benchmarks.harness.verdicts import judge
from benchmarks.simulation.cases import CASES, Case
from benchmarks.simulation.figures import verify
from benchmarks.simulation.products import PRODUCTS
from benchmarks.simulation.sessions import Failed, session
from benchmarks.simulation.workload import Workload


def main() -> int:
    """Prepare the environments, measure, print; the exit status is 1 if --check is given and a target was missed."""
    options = parse()
    where = machine()
    if where["load"] > where["cpus"] / 2:
        say(f"others are at work on this machine (load {where['load']:.1f}): expect noise, and worse figures for both")
    cases = [case.quick() if options.quick else case for case in CASES if not options.only or case.name in options.only]
    used = [name for name in PRODUCTS if name in options.products and any(name in case.products for case in cases)]
    for name in used:
        say(f"preparing {name}")
        PRODUCTS[name].prepare()
        sample(Case("warm-up", "", "", Workload(2, rounds=1, flower_rounds=1), lambda *_: 1.0, CASES[0].target), name)
    results = [measure(case, used, 1 if options.quick else options.repeats) for case in cases]
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(as_json(results, where), indent=1) + "\n", encoding="utf-8")
    return int(options.check and any(result.missed for result in results))


def parse() -> argparse.Namespace:
    """The command line."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repeat, and as few of Flower's rounds as possible")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"cases: {', '.join(names)}")
    parser.add_argument("--products", nargs="+", choices=list(PRODUCTS), default=list(PRODUCTS), help="default: all")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each product in each case (default 3)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write samples, medians and verdicts to a file")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a target is missed")
    return parser.parse_args()


def measure(case: Case, products: Sequence[str], repeats: int) -> Result:
    """Run a case on each of its products, in turn, `repeats` times; a product that failed is not tried again."""
    samples: dict[str, list[float]] = {name: [] for name in products if name in case.products}
    errors: dict[str, str] = {}
    for _ in range(repeats):
        for name, values in samples.items():
            if name not in errors:
                try:
                    values.append(sample(case, name))
                except (Failed, ValueError) as error:
                    errors[name] = str(error)
                    say(f"{case.name}: {name} failed: {error}")
    return Result(case, samples, judge(case.target, samples), list(errors.values()))


def sample(case: Case, name: str) -> float:
    """The case's figure from one run in a session of its own."""
    workload = case.workload
    with session(PRODUCTS[name]) as current:
        if workload.warm:
            current.run(workload)
        trace = current.run(workload)
    verify(trace, workload, workload.rounds_of(name))
    value = case.figure(trace, workload)
    say(f"{case.name}: {name} {value:.4g} {case.unit} ({trace.exited - trace.submitted:.1f} s)")
    return value


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
