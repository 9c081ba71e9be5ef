"""Runs each app of this folder under Flower's release and under Umbel, and prints where they differ.

    python -m tests.compat.compare [--record] [--environment DIR] [APP …]

`--record` writes what Flower came to into `recorded/`, which `test_recorded.py` holds Umbel to.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.compat import flower, ways
from tests.compat.catalogue import APPS, App, differences


def main() -> int:
    """The number of apps that differ, as the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="keep what Flower came to")
    parser.add_argument("--environment", type=Path, default=flower.ENVIRONMENT, help="where Flower is installed")
    parser.add_argument("apps", nargs="*", metavar="APP", help="all, when none is named")
    options = parser.parse_args()
    flower.prepare(options.environment)
    chosen = [app for app in APPS if app.name in options.apps or not options.apps]
    print(f"Flower {flower.FLOWER} and Umbel, {len(chosen)} apps\n")
    print(f"{'app':<20} {'nodes':>5} {'Flower':>9} {'Umbel':>9}  numbers  verdict")
    if options.record and not options.apps:
        flower.API.write_text(flower.api(options.environment))
    return sum(not agreed(app, options.environment, record=options.record) for app in chosen)


def agreed(app: App, environment: Path, *, record: bool) -> bool:
    """Whether the two agree; where one of them fails, they do not."""
    try:
        return compare(app, environment, record=record)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"{app.name:<20} failed: {error}", flush=True)
        return False


def compare(app: App, environment: Path, *, record: bool) -> bool:
    """Whether the two agree; one line is printed, and one for each difference."""
    theirs, their_seconds = timed(lambda: flower.run(app, environment))
    if record:
        text = json.dumps({"flower": flower.FLOWER, "nodes": app.nodes, "result": theirs}, indent=1)
        app.record.parent.mkdir(exist_ok=True)
        app.record.write_text(text + "\n")
    with tempfile.TemporaryDirectory() as folder:
        ours, our_seconds = timed(lambda: ways.command_line(app, Path(folder)))
    found = differences(ours, theirs, app.tolerance)
    verdict = "differ" if found else "the same" if ours == theirs else f"the same within {app.tolerance:g}"
    times = f"{their_seconds:>7.1f} s {our_seconds:>7.1f} s"
    print(f"{app.name:<20} {app.nodes:>5} {times}  {count(theirs):>7}  {verdict}", *found[:5], sep="\n    ", flush=True)
    return not found


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` gives, and the seconds it took."""
    began = time.monotonic()
    return work(), time.monotonic() - began


def count(result: Any) -> int:
    """The values in a result."""
    if isinstance(result, dict):
        return sum(map(count, result.values()))
    return sum(map(count, result)) if isinstance(result, list) else 1


if __name__ == "__main__":
    sys.exit(main())
