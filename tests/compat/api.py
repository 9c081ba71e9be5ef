"""Prints what `flwr` offers as JSON: runs under Flower's release and under Umbel's alias. Imports nothing else."""

from __future__ import annotations

import importlib
import inspect
import json
from typing import Any

MODULES = (
    "flwr.app",
    "flwr.clientapp",
    "flwr.clientapp.mod",
    "flwr.serverapp",
    "flwr.serverapp.strategy",
    "flwr.common",
    "flwr.simulation",
    "flwr.client",
    "flwr.client.mod",
    "flwr.server",
    "flwr.server.strategy",
    "flwr.server.workflow",
)


def names() -> dict[str, list[str]]:
    """The public names of each module."""
    return {module: sorted(importlib.import_module(module).__all__) for module in MODULES}


def arguments() -> dict[str, list[list[Any]]]:
    """Name, whether it may be given by its place, and default of each argument of the strategies, in order."""
    module = importlib.import_module("flwr.serverapp.strategy")
    strategies = [name for name in module.__all__ if name not in ("Result", "Strategy")]
    return {name: [_argument(each) for each in _parameters(getattr(module, name))] for name in strategies}


def _parameters(cls: type) -> list[inspect.Parameter]:
    return list(inspect.signature(cls).parameters.values())


def _argument(parameter: inspect.Parameter) -> list[Any]:
    return [parameter.name, parameter.kind is not parameter.KEYWORD_ONLY, repr(parameter.default)]


if __name__ == "__main__":
    print(json.dumps({"names": names(), "arguments": arguments()}, indent=1))
