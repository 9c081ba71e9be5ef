"""The floors of the tests' branch coverage: of all code together, and of each module where an error is hardest to see.

Reads the data of `dev/test.sh --coverage`, and exits with 1 when there is less than a floor.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

TOTAL = 90.0  # percent
MODULE = 80.0  # percent of each module of these packages
PACKAGES = ("src/umbel/engine/", "src/umbel/superexec/", "src/umbel/supernode/")


def report() -> dict[str, float]:
    """The covered percentage of each file, and of all of them as "total"."""
    coverage = [sys.executable, "-m", "coverage"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "coverage.json")
        subprocess.run([*coverage, "json", "--quiet", "-o", str(path)], check=True)
        data = json.loads(path.read_text())
    covered = {file: float(found["summary"]["percent_covered"]) for file, found in data["files"].items()}
    return covered | {"total": float(data["totals"]["percent_covered"])}


def shortfalls(covered: dict[str, float]) -> list[str]:
    """A line for each floor that is not reached."""
    floors = {file: MODULE for file in covered if file.startswith(PACKAGES)} | {"total": TOTAL}
    return [
        f"{name}: {covered[name]:.1f} % covered, at least {floor:.0f} % expected"
        for name, floor in sorted(floors.items())
        if covered[name] < floor
    ]


if __name__ == "__main__":
    covered = report()
    print(f"branch coverage: {covered['total']:.1f} %")
    missing = shortfalls(covered)
    print(*missing, sep="\n", end="\n" if missing else "")
    sys.exit(bool(missing))
