"""`flwr.common.config`: nested and flat configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umbel.app.context import UserConfig, UserConfigValue
from umbel.bundle import flatten, unflatten
from umbel.errors import ConfigError


def unflatten_dict(flat_dict: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`. Raises ValueError where a key is both a value and a table."""
    try:
        return unflatten(flat_dict)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def flatten_dict(raw_dict: Mapping[str, Any] | None, parent_key: str = "") -> UserConfig:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`. Raises ValueError for a value that is neither bool, int, float nor str."""
    try:
        flat = flatten(raw_dict or {})
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return {f"{parent_key}.{key}": value for key, value in flat.items()} if parent_key else dict(flat)


def fuse_dicts(main_dict: dict[str, Any], override_dict: dict[str, Any], check_keys: bool = True) -> dict[str, Any]:
    """A copy of `main_dict` with the values of `override_dict`, table by table.

    A key that only the latter has raises ValueError, or is left out when `check_keys` is False.
    """
    unknown = override_dict.keys() - main_dict.keys()
    if unknown and check_keys:
        raise ValueError(f"Not in the configuration: {', '.join(sorted(unknown))}.")
    fused = dict(main_dict)
    for key, value in override_dict.items():
        if key not in unknown:
            fused[key] = fuse_dicts(main_dict[key], value) if isinstance(value, dict) else value
    return fused


__all__ = ["UserConfig", "UserConfigValue", "flatten_dict", "fuse_dicts", "unflatten_dict"]
