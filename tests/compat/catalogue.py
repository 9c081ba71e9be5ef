"""The apps of this folder, written as Flower's examples are: they import `flwr` and nothing of Umbel.

Each is a folder `apps/<name>` with a pyproject.toml and a package `<name>`. Its ServerApp writes what came out, one JSON object, to the
file that the run config names as `result-file`: metrics by round, and the values of the final arrays. `recorded/<name>.json` has
what Flower's own release made of it, written by `compare.py --record`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


@dataclass(frozen=True)
class App:
    """One of the apps. `nodes` take part. Numbers may differ by `tolerance`, relative and absolute: replies are summed in another order."""

    name: str
    nodes: int = 2
    tolerance: float = 1e-6
    needs: str = ""  # a package that not everybody has

    @property
    def path(self) -> Path:
        """Where it lies."""
        return HERE / "apps" / self.name

    @property
    def record(self) -> Path:
        """What Flower made of it."""
        return HERE / "recorded" / f"{self.name}.json"

    @staticmethod
    def written(result: Path) -> Any:
        """What its ServerApp wrote."""
        return json.loads(result.read_text())

    def recorded(self) -> Any:
        """The result that Flower's release came to."""
        return json.loads(self.record.read_text())["result"]


APPS = [
    App("numpy_quickstart", tolerance=1e-12),
    App("sklearn_logreg"),
    App("pytorch_quickstart", needs="torch"),
    App("xgboost_bagging", tolerance=1e-5),
    App("xgboost_cyclic"),
    App("query_actions"),
    App("custom_strategy"),
    App("custom_start"),
    App("grid_loop"),
    App("lifespan"),
    App("mods_order"),
    App("stateful_client"),
    App("all_strategies", nodes=7),
    App("dp_clipping", nodes=3),
    App("old_names"),
    App("legacy_numpy"),
    App("legacy_strategy", nodes=3),
    App("legacy_mods"),
    App("legacy_strategies", nodes=5),
]
"""Every app, the quickest first to read first."""


def differences(found: Any, recorded: Any, tolerance: float, where: str = "result") -> list[str]:
    """Where two results differ, in words; nothing where they agree. NaN agrees with NaN."""
    if isinstance(found, dict) and isinstance(recorded, dict) and found.keys() == recorded.keys():
        pairs = [(found[key], recorded[key], f"{where}.{key}") for key in found]
    elif isinstance(found, list) and isinstance(recorded, list) and len(found) == len(recorded):
        pairs = [(a, b, f"{where}[{index}]") for index, (a, b) in enumerate(zip(found, recorded, strict=True))]
    elif _alike(found, recorded, tolerance):
        return []
    else:
        return [f"{where}: {found!r} here, {recorded!r} there"]
    return [line for a, b, place in pairs for line in differences(a, b, tolerance, place)]


def _alike(found: Any, recorded: Any, tolerance: float) -> bool:
    if isinstance(found, float) or isinstance(recorded, float):
        both = isinstance(found, (int, float)) and isinstance(recorded, (int, float))
        return both and bool(np.isclose(found, recorded, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(found == recorded)
