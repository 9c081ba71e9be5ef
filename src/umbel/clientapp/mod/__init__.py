"""Client mods, and the client-side helpers of strategies.

A mod wraps the functions of a ClientApp. In `mods=[first, second]`, the first is outermost and sees the reply last.
"""

from umbel.clientapp.analytics import answer
from umbel.clientapp.clientapp import Stage, staged
from umbel.clientapp.correction import Correction
from umbel.clientapp.feddyn import feddyn_mod
from umbel.clientapp.fednova import normalising_steps
from umbel.clientapp.mod.clipping import adaptiveclipping_mod, arrays_size_mod, fixedclipping_mod, message_size_mod
from umbel.clientapp.mod.localdp import LocalDpMod
from umbel.clientapp.mod.secagg import secaggplus_mod
from umbel.clientapp.proximal import add_proximal_gradient, add_proximal_gradient_torch
from umbel.clientapp.scaffold import scaffold_mod

__all__ = [
    "Correction",
    "LocalDpMod",
    "Stage",
    "adaptiveclipping_mod",
    "add_proximal_gradient",
    "add_proximal_gradient_torch",
    "answer",
    "arrays_size_mod",
    "feddyn_mod",
    "fixedclipping_mod",
    "message_size_mod",
    "normalising_steps",
    "scaffold_mod",
    "secaggplus_mod",
    "staged",
]
