"""ConfigRecord: settings that travel with a message."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from umbel.app.record import Record, check_list, fits

ConfigScalar = bool | int | float | str | bytes
ConfigValue = ConfigScalar | list[bool] | list[int] | list[float] | list[str] | list[bytes]
_SCALARS = (bool, int, float, str, bytes)


class ConfigRecord(Record[ConfigValue]):
    """Names → bool, int, float, str, bytes, or a list of one of these types.

    `keep_input=False` empties the given mapping once its items are taken over.
    """

    __slots__ = ()

    def __init__(self, config_dict: Mapping[str, ConfigValue] | None = None, keep_input: bool = True) -> None:
        """Take over the items of `config_dict`. Raises TypeError for a value of another type."""
        super().__init__(config_dict)
        if not keep_input and isinstance(config_dict, dict):
            config_dict.clear()

    @classmethod
    def check_value(cls, key: str, value: object) -> ConfigValue:
        """See `Record.check_value`."""
        kind = type(value)
        if kind in _SCALARS and (kind is not int or fits(value)):
            return value  # type: ignore[return-value]
        if isinstance(value, list):
            return check_list(key, value, _SCALARS, cls.__name__)
        if isinstance(value, np.generic) and type(value.item()) in _SCALARS:
            return value.item()  # type: ignore[no-any-return]
        raise TypeError(
            f"ConfigRecord[{key!r}] must be a bool, int, float, str, bytes or a list of one of them, not {kind.__name__}; "
            "an int must fit into 64 bits."
        )

    def count_bytes(self) -> int:
        """1 byte for a bool, 8 for a number, the length of a str (UTF-8) or of bytes; plus the keys."""
        total = 0
        for key, value in self.items():
            items = value if isinstance(value, list) else [value]
            total += len(key.encode()) + sum(_size(item) for item in items)
        return total


def _size(value: ConfigScalar) -> int:
    if isinstance(value, bool):
        return 1
    if isinstance(value, str):
        return len(value.encode())
    return len(value) if isinstance(value, bytes) else 8
