"""The module of Umbel that provides the names of each module of `flwr`.

A module on the right lists its names in `__all__`; an optional dict `MISSING` maps names without a counterpart to what to use instead.
The modules are named, not imported, because one of them belongs to a higher layer.
"""

from umbel.compat.flwr.legacy import MODULES as LEGACY

ROOT = "flwr"

_HERE = "umbel.compat.flwr"

# Flower has one module per class; each of them provides all names of its package here.
_RECORD_MODULES = ("array", "arrayrecord", "configrecord", "metricrecord", "recorddict")
_STRATEGY_MODULES = (
    "bulyan",
    "dp_adaptive_clipping",
    "dp_fixed_clipping",
    "fedadagrad",
    "fedadam",
    "fedavg",
    "fedavgm",
    "fedmedian",
    "fedprox",
    "fedtrimmedavg",
    "fedxgb_bagging",
    "fedxgb_cyclic",
    "fedyogi",
    "krum",
    "multikrum",
    "qfedavg",
    "result",
    "strategy",
)

MODULES: dict[str, str] = {
    "flwr": f"{_HERE}.root",
    "flwr.app": f"{_HERE}.app",
    "flwr.app.exception": f"{_HERE}.exceptions",
    "flwr.clientapp": f"{_HERE}.clientapp",
    "flwr.clientapp.client_app": f"{_HERE}.clientapp",
    "flwr.clientapp.mod": f"{_HERE}.mod",
    "flwr.clientapp.typing": f"{_HERE}.typing",
    "flwr.client.typing": f"{_HERE}.typing",
    "flwr.client.client_app": f"{_HERE}.clientapp",
    "flwr.server.server_app": f"{_HERE}.serverapp",
    "flwr.serverapp": f"{_HERE}.serverapp",
    "flwr.serverapp.exception": f"{_HERE}.exceptions",
    "flwr.serverapp.strategy": f"{_HERE}.strategy",
    "flwr.serverapp.strategy.strategy_utils": f"{_HERE}.strategy_utils",
    **{f"flwr.serverapp.strategy.{name}": f"{_HERE}.strategy" for name in _STRATEGY_MODULES},
    "flwr.common": f"{_HERE}.common",
    **{f"flwr.common.{name}": f"{_HERE}.common" for name in ("context", "message", "record")},
    **{f"flwr.common.record.{name}": f"{_HERE}.common" for name in _RECORD_MODULES},
    "flwr.common.config": f"{_HERE}.common.config",
    "flwr.common.constant": f"{_HERE}.common.constant",
    "flwr.common.logger": f"{_HERE}.common.logger",
    "flwr.common.parameter": f"{_HERE}.legacy.typing",
    "flwr.common.typing": f"{_HERE}.legacy.typing",
    "flwr.simulation": "umbel.simulation.flwr",
    **LEGACY,
}
