"""The settings of a simulation, as they stand in a run's federation config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from umbel.errors import ConfigError

Backend = Literal["local", "inline"]
_DEFAULT_SUPERNODES = 10


@dataclass(frozen=True)
class SimulationSettings:
    """How many clients there are and what each of them may use.

    `backend` "inline" serves all clients in the ServerApp's own thread, for a debugger.
    """

    num_supernodes: int = _DEFAULT_SUPERNODES
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    backend: Backend = "local"
    max_workers: int | None = None

    @classmethod
    def of(cls, config: Mapping[str, bool | int | float | str]) -> SimulationSettings:
        """The settings in a federation config (keys in kebab-case; others are ignored). Raises ConfigError for a bad value."""
        plain = {key.removeprefix("options.").replace("_", "-"): value for key, value in config.items()}
        backend = plain.get("backend", "local")
        if backend not in ("local", "inline"):
            raise ConfigError(
                f"Unknown backend {backend!r}.", hint="Use `local` (processes) or `inline` (no processes)."
            )
        return cls(
            num_supernodes=_count(plain, "num-supernodes", _DEFAULT_SUPERNODES),
            num_cpus=_number(plain, "client-resources-num-cpus", 1.0, 0.01),
            num_gpus=_number(plain, "client-resources-num-gpus", 0.0, 0.0),
            backend=cast("Backend", backend),
            max_workers=_count(plain, "max-workers", 1) if "max-workers" in plain else None,
        )


_Config = Mapping[str, bool | int | float | str]


def _number(config: _Config, key: str, default: float, least: float) -> float:
    value = config.get(key, default)
    if isinstance(value, (bool, str)) or not least <= value < math.inf:
        raise ConfigError(f"Invalid {key} = {value!r}: it must be a number of at least {least:g}.")
    return float(value)


def _count(config: _Config, key: str, default: int) -> int:
    value = _number(config, key, default, 1)
    if not value.is_integer():
        raise ConfigError(f"Invalid {key} = {value!r}: it must be an integer.")
    return int(value)
