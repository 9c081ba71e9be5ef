from __future__ import annotations

import importlib

import pytest

from umbel.compat.flwr import active
from umbel.compat.flwr.legacy import MODULES


@pytest.mark.parametrize("name", sorted(MODULES))
def test_each_module_has_its_names(name: str) -> None:
    """Every name that a module announces can be imported from `flwr`."""
    with active():
        module = importlib.import_module(name)
        assert module.__all__
        for each in module.__all__:
            assert getattr(module, each) is not None


@pytest.mark.parametrize(
    ("module", "name", "instead"),
    [
        ("flwr.client.mod", "secaggplus_mod", "secure-aggregation.md"),
        ("flwr.client.mod", "secagg_mod", "secure-aggregation.md"),
        ("flwr.server.workflow", "SecAggPlusWorkflow", "secure-aggregation.md"),
        ("flwr.server.workflow", "SecAggWorkflow", "secure-aggregation.md"),
        ("flwr.server", "start_server", "umbel run"),
        ("flwr.client", "start_client", "umbel run"),
        ("flwr.client", "start_numpy_client", "umbel run"),
        ("flwr.simulation", "start_simulation", "run_simulation"),
        ("flwr.server.strategy", "FedXgbNnAvg", "FedXgbBagging"),
    ],
)
def test_what_is_missing_says_what_to_use(module: str, name: str, instead: str) -> None:
    """An import of it fails with the way out, and so does a look at the attribute."""
    with active():
        with pytest.raises(ImportError, match=instead):
            exec(f"from {module} import {name}", {})
        with pytest.raises(AttributeError, match=instead):
            getattr(importlib.import_module(module), name)
