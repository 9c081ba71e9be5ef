"""Which module of Umbel gives each module of `flwr` its names.

A module on the right lists them in `__all__`; in `MISSING`, a dict, it may say of names it does not have what to use instead.
The modules are named, not imported: one of them lies in a layer above this.
"""

from umbel.compat.flwr.legacy import MODULES as LEGACY

ROOT = "flwr"

_HERE = "umbel.compat.flwr"

MODULES: dict[str, str] = {
    "flwr": f"{_HERE}.root",
    **LEGACY,
}
