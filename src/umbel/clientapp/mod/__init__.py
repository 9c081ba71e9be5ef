"""Client-side mods: what wraps a client's function. `mods=[first, second]`: the first is outermost and sees the reply last."""

from umbel.clientapp.clientapp import Stage, staged
from umbel.clientapp.mod.clipping import adaptiveclipping_mod, arrays_size_mod, fixedclipping_mod, message_size_mod
from umbel.clientapp.mod.localdp import LocalDpMod
from umbel.clientapp.mod.secagg import secaggplus_mod

__all__ = [
    "LocalDpMod",
    "Stage",
    "adaptiveclipping_mod",
    "arrays_size_mod",
    "fixedclipping_mod",
    "message_size_mod",
    "secaggplus_mod",
    "staged",
]
