"""Client-side mods: what wraps a client's function. `mods=[first, second]`: the first is outermost and sees the reply last."""

from umbel.clientapp.mod.clipping import adaptiveclipping_mod, fixedclipping_mod
from umbel.clientapp.mod.localdp import LocalDpMod
from umbel.clientapp.mod.secagg import secaggplus_mod
from umbel.clientapp.mod.sizes import arrays_size_mod, message_size_mod
from umbel.clientapp.modorder import Stage, staged

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
