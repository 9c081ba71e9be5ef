"""The settings of a simulation."""

from __future__ import annotations

import math
from typing import Any

import pytest

from umbel.errors import ConfigError
from umbel.simulation.settings import SimulationSettings


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, SimulationSettings(10, 1.0, 0.0, "local", None)),
        ({"num-supernodes": 3}, SimulationSettings(3)),
        ({"num_supernodes": 3}, SimulationSettings(3)),
        ({"options.num-supernodes": 3}, SimulationSettings(3)),
        ({"num-supernodes": 1_000_000}, SimulationSettings(1_000_000)),
        ({"num-supernodes": 5.0}, SimulationSettings(5)),
        ({"client-resources-num-cpus": 0.5}, SimulationSettings(num_cpus=0.5)),
        ({"client-resources-num-gpus": 0}, SimulationSettings(num_gpus=0.0)),
        ({"backend": "inline"}, SimulationSettings(backend="inline")),
        ({"max-workers": 2}, SimulationSettings(max_workers=2)),
        ({"verbose": True, "backend-name": "ray"}, SimulationSettings()),
    ],
)
def test_good_settings(config: dict[str, Any], expected: SimulationSettings) -> None:
    """Keys in kebab-case or snake_case, with or without their old prefix; what is not known is somebody else's."""
    assert SimulationSettings.of(config) == expected


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("num-supernodes", 0, "at least 1"),
        ("num-supernodes", -1, "at least 1"),
        ("num-supernodes", 2.5, "it must be an integer"),
        ("num-supernodes", "10", "at least 1"),
        ("num-supernodes", True, "at least 1"),
        ("num-supernodes", math.nan, "at least 1"),
        ("num-supernodes", math.inf, "at least 1"),
        ("client-resources-num-cpus", 0, r"at least 0\.01"),
        ("client-resources-num-cpus", math.nan, r"at least 0\.01"),
        ("client-resources-num-gpus", -0.5, "at least 0"),
        ("backend", "cloud", "`local`"),
        ("backend", 1, "`local`"),
        ("max-workers", 0, "at least 1"),
        ("max-workers", 1.5, "it must be an integer"),
    ],
)
def test_bad_settings(key: str, value: Any, said: str) -> None:
    """The error says which setting it is, or what it may be."""
    with pytest.raises(ConfigError, match=said) as caught:
        SimulationSettings.of({key: value})
    assert repr(value) in str(caught.value)
