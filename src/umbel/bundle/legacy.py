"""The simulation settings of an old `[tool.flwr.federations]` table."""

from __future__ import annotations

from umbel.bundle.flat import Config, flatten
from umbel.bundle.table import Table
from umbel.errors import ConfigError

_SETTINGS = {
    "num-supernodes": "num-supernodes",
    "verbose": "verbose",
    "backend.name": "backend-name",
    "backend.client-resources.num-cpus": "client-resources-num-cpus",
    "backend.client-resources.num-gpus": "client-resources-num-gpus",
    "backend.init-args.num-cpus": "init-args-num-cpus",
    "backend.init-args.num-gpus": "init-args-num-gpus",
    "backend.init-args.logging-level": "init-args-logging-level",
    "backend.init-args.log-to-driver": "init-args-log-to-driver",
}


def federation_of_legacy(federations: Table, warnings: list[str]) -> Config:
    """The settings of the default federation of the table, as `num-supernodes` and the like.

    A line is added to `warnings` if there is such a table. What it says beyond simulation settings is not used.
    """
    if not federations.values:
        return {}
    warnings.append(
        f"{federations.file}: [{federations.name}] is an old form; only its simulation settings are used. "
        "Write them as [tool.umbel.app.federation] or give them with --federation-config."
    )
    default = federations.values.get("default")
    chosen = federations.values.get(default) if isinstance(default, str) else None
    options = chosen.get("options") if isinstance(chosen, dict) else None
    if not isinstance(options, dict):
        return {}
    try:
        flat = flatten(options)
    except ConfigError as error:
        warnings.append(f"{federations.file}: [{federations.name}.{default}] is not used: {error.message}")
        return {}
    return {_SETTINGS[key]: value for key, value in flat.items() if key in _SETTINGS}
