"""`flwr.client.mod`: Umbel's own mods, which fit the messages of the older API as well."""

from umbel.clientapp.clientapp import wrap as make_ffn
from umbel.clientapp.mod import (
    LocalDpMod,
    adaptiveclipping_mod,
    arrays_size_mod,
    fixedclipping_mod,
    message_size_mod,
)

parameters_size_mod = arrays_size_mod  # its name before

__all__ = [
    "LocalDpMod",
    "adaptiveclipping_mod",
    "arrays_size_mod",
    "fixedclipping_mod",
    "make_ffn",
    "message_size_mod",
    "parameters_size_mod",
]

MISSING = dict.fromkeys(
    ("secagg_mod", "secaggplus_mod"),
    "the alias does not support secure aggregation between clients of the older API. Wrap one of Umbel's strategies in SecAggPlus; "
    "see docs/explanation/secure-aggregation.md.",
)
