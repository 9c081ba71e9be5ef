"""Nested tables and their flat form with dotted keys: `{"train": {"lr": 0.1}}` and `{"train.lr": 0.1}`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from umbel.errors import ConfigError

Scalar = bool | int | float | str
Config = dict[str, Scalar]

_INT_LIMIT = 2**63


def flatten(nested: Mapping[str, Any]) -> Config:
    """The flat form of `nested`, in its order.

    Values are bool, 64-bit int, finite float or str. Raises ConfigError for any other value and for a key that
    occurs twice (once nested, once quoted).
    """
    flat: Config = {}
    for key, value in _leaves(nested, ""):
        if key in flat:
            raise ConfigError(f"The key `{key}` is given twice.", hint="Keep one of the two.")
        flat[key] = value
    return flat


def unflatten(flat: Mapping[str, Scalar]) -> dict[str, Any]:
    """The nested form of `flat`. Raises ConfigError where one key is both a value and a table."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        table = nested
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise _value_and_table(key)
        if last in table:
            raise _value_and_table(key)
        table[last] = value
    return nested


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Scalar]]:
    for key, value in table.items():
        dotted = f"{prefix}{key}"
        if not key:
            raise ConfigError(f"There is an empty key in `{prefix or 'the table'}`.", hint="Give it a name.")
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{dotted}.")
        else:
            yield dotted, check_scalar(dotted, value)


def check_scalar(key: str, value: object) -> Scalar:
    """`value` if it may be a configuration value; ConfigError that names `key` otherwise."""
    if not isinstance(value, bool | int | float | str):
        kind = type(value).__name__
        raise ConfigError(
            f"`{key}` is a {kind}: a configuration value is a bool, an int, a float or a string.",
            hint='Write several values as one string, for example "10,20,30", and split it in the app.',
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"`{key}` is {value}: numbers must be finite.", hint='Use a string such as "inf" instead.')
    if isinstance(value, int) and not -_INT_LIMIT <= value < _INT_LIMIT:
        raise ConfigError(f"`{key}` does not fit in 64 bits.", hint="Use a string and convert it in the app.")
    return value


def _value_and_table(key: str) -> ConfigError:
    return ConfigError(f"`{key}` is both a value and a table.", hint="Rename one of the two keys.")
