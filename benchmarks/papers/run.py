"""Check the strategies against what their papers claim, on small tasks with fixed seeds.

    python benchmarks/papers/run.py              all of them, a minute or two
    python benchmarks/papers/run.py byzantine

Each figure is printed with the one in `expected.toml`. The exit status is 1 when a figure is further from it than `tolerance`
says, or when a claim does not hold.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from experiments import EXPERIMENTS, Figures

HERE = Path(__file__).parent


def check(figures: Figures, expected: dict[str, Any]) -> list[str]:
    """What is wrong: figures that are not near the expected ones, and claims that do not hold."""
    tolerance = expected["tolerance"]
    wrong = [
        f"{name} is {figures[name]:.4g}, not {value} ± {tolerance * abs(value):.4g}"
        for name, value in expected["figures"].items()
        if not abs(figures[name] - value) <= tolerance * abs(value)
    ]
    claims = (claim.split(" < ") for claim in expected["claims"])
    return wrong + [f"{a} < {b} does not hold" for a, b in claims if not number(figures, a) < number(figures, b)]


def number(figures: Figures, text: str) -> float:
    """A figure by name, or a number times one ("0.5 * fedavg"), or a number."""
    factor, star, name = text.rpartition(" * ")
    return float(factor if star else 1) * (figures[name] if name in figures else float(name))


def main() -> int:
    """Run what the command line names."""
    expected = tomllib.loads((HERE / "expected.toml").read_text())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="|".join(EXPERIMENTS), choices=[[], *EXPERIMENTS])
    reached = True
    for name in parser.parse_args().names or EXPERIMENTS:
        begun = time.perf_counter()
        figures = EXPERIMENTS[name]()
        print(f"{name}: {time.perf_counter() - begun:.0f} s")
        for key, value in figures.items():
            print(f"  {key:<28} {value:>8.4f}   expected {expected[name]['figures'].get(key, float('nan')):>8}")
        wrong = check(figures, expected[name])
        print(*(f"  WRONG: {each}" for each in wrong), sep="\n", end="\n" if wrong else "")
        reached = reached and not wrong
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
