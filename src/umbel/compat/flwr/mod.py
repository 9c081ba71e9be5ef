"""`flwr.clientapp.mod`: Umbel's own mods."""

from umbel.clientapp.mod import (
    LocalDpMod,
    adaptiveclipping_mod,
    arrays_size_mod,
    fixedclipping_mod,
    message_size_mod,
)

__all__ = ["LocalDpMod", "adaptiveclipping_mod", "arrays_size_mod", "fixedclipping_mod", "message_size_mod"]

MISSING = dict.fromkeys(
    ("secagg_mod", "secaggplus_mod"),
    "use `umbel.clientapp.mod.secaggplus_mod`, the mod for Umbel's strategy SecAggPlus.",
)
