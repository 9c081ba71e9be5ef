"""The module of Umbel that provides the names of each module of `flwr`.

A module on the right lists them in `__all__`; in `MISSING`, a dict, it may say of names it does not have what to use instead.
The modules are named, not imported: one of them lies in a layer above this.
"""

from umbel.compat.flwr.legacy import MODULES as LEGACY

ROOT = "flwr"

_HERE = "umbel.compat.flwr"

MODULES: dict[str, str] = {
    "flwr": f"{_HERE}.root",
    "flwr.app": f"{_HERE}.app",
    "flwr.app.exception": f"{_HERE}.exceptions",
    "flwr.clientapp": f"{_HERE}.clientapp",
    "flwr.clientapp.mod": f"{_HERE}.mod",
    "flwr.serverapp": f"{_HERE}.serverapp",
    "flwr.serverapp.exception": f"{_HERE}.exceptions",
    "flwr.serverapp.strategy": f"{_HERE}.strategy",
    "flwr.serverapp.strategy.strategy_utils": f"{_HERE}.strategy_utils",
    **{f"flwr.serverapp.strategy.{name}": f"{_HERE}.strategy" for name in ("fedavg", "result", "strategy")},
    "flwr.common": f"{_HERE}.common",
    **{f"flwr.common.{name}": f"{_HERE}.common" for name in ("context", "message", "record")},
    "flwr.common.config": f"{_HERE}.common.config",
    "flwr.common.constant": f"{_HERE}.common.constant",
    "flwr.common.logger": f"{_HERE}.common.logger",
    "flwr.common.parameter": f"{_HERE}.legacy.typing",
    "flwr.common.typing": f"{_HERE}.legacy.typing",
    "flwr.simulation": "umbel.simulation.flwr",
    **LEGACY,
}
