"""MetricRecord and ConfigRecord, the base class of records, and conversions of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import BFLOAT16, Array, bfloat16_to_float32, float32_to_bfloat16

Floats = NDArray[Any]
"""float32 or float64, one dimension."""

_SINGLE = frozenset({"float16", BFLOAT16, "float32", "complex64"})


def is_inexact(array: Array) -> bool:
    """Whether the elements are floating-point or complex numbers, which optimisers may update."""
    return array.dtype.startswith(("float", "bfloat", "complex"))


def floats(array: Array) -> Floats:
    """The elements as a one-dimensional float32 array, or float64 if float32 cannot represent the type; may share memory.

    A complex number becomes two elements, its real and its imaginary part.
    """
    return widened(array.dtype, stored(array))


def stored(array: Array) -> NDArray[Any]:
    """The stored elements as a one-dimensional view; a complex number becomes two elements."""
    flat = array.storage.reshape(-1)
    return flat.view(np.float32) if array.dtype == "complex64" else flat


def widened(dtype: str, values: NDArray[Any]) -> Floats:
    """`stored` values of this type as float32 or float64."""
    if dtype == BFLOAT16:
        return bfloat16_to_float32(values)
    return values.astype(np.float32 if dtype in _SINGLE else np.float64, copy=False)


def narrowed(dtype: str, values: Floats) -> NDArray[Any]:
    """The inverse of `widened`: convert to the type, rounding to the nearest integer for integer types."""
    if dtype == BFLOAT16:
        return float32_to_bfloat16(values)
    if dtype == "complex64":
        return values.astype(np.float32, copy=False)
    return values.astype(dtype, copy=False) if dtype.startswith("float") else np.rint(values).astype(dtype)


def as_array(values: NDArray[Any], like: Array) -> Array:
    """`stored` values as an Array of the type and shape of `like`."""
    return Array.from_storage(like.dtype, values.view(like.storage.dtype).reshape(like.shape))


def shaped(values: Floats, like: Array) -> Array:
    """The inverse of `floats`: an Array of the shape of `like`, of type float32, float64 or complex64."""
    return Array((values.view(np.complex64) if like.dtype == "complex64" else values).reshape(like.shape))


V = TypeVar("V")


class Record(dict[str, V]):
    """A dict with str keys and values of the types that the record allows; others raise TypeError."""

    __slots__ = ()

    def __init__(self, values: Mapping[str, V] | None = None) -> None:
        """Create a record from `values`. Raises TypeError for a value of another type."""
        super().__init__()
        if values is not None:
            check, put = self.check_value, super().__setitem__
            for key, value in values.items():
                put(self._check_key(key), check(key, value))

    @classmethod
    def check_value(cls, key: str, value: object) -> V:
        """`value`, converted to a plain Python type where necessary. Raises TypeError for a type that the record does not allow."""
        raise NotImplementedError

    @classmethod
    def _check_key(cls, key: object) -> str:
        if type(key) is not str:
            raise TypeError(f"A key of {cls.__name__} must be a str, not {type(key).__name__}.")
        return key

    def __setitem__(self, key: str, value: V) -> None:
        super().__setitem__(self._check_key(key), self.check_value(key, value))

    def update(self, *args: Mapping[str, V] | Iterable[tuple[str, V]], **kwargs: V) -> None:  # type: ignore[override]
        """Set the given items. Raises TypeError for a value of another type."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: V) -> V:
        """The value of `key`, which is set to `default` if it is absent."""
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def copy(self) -> Self:
        """A shallow copy."""
        new = type(self)()
        dict.update(new, self)
        return new

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.__repr__(self)})"


def fits(value: object) -> bool:
    """Whether an int can be transferred: it must fit into 64 bits."""
    return isinstance(value, int) and -(2**63) <= value < 2**64


def check_list(key: str, value: list[Any], allowed: tuple[type, ...], owner: str) -> list[Any]:
    """A list whose elements all have the same `allowed` type; NumPy scalars become plain ones. Raises TypeError otherwise."""
    if not value:
        return value
    if any(isinstance(item, np.generic) for item in value):
        value = [item.item() if isinstance(item, np.generic) else item for item in value]
    kind = type(value[0])
    if kind not in allowed or any(type(item) is not kind for item in value):
        names = ", ".join(t.__name__ for t in allowed)
        raise TypeError(f"{owner}[{key!r}]: the elements of a list must all be of one type, one of {names}.")
    if kind is int and not (fits(min(value)) and fits(max(value))):
        raise TypeError(f"{owner}[{key!r}]: an int must fit into 64 bits.")
    return value


ConfigScalar = bool | int | float | str | bytes
ConfigValue = ConfigScalar | list[bool] | list[int] | list[float] | list[str] | list[bytes]
_SCALARS = (bool, int, float, str, bytes)


class ConfigRecord(Record[ConfigValue]):
    """A dict of settings: bool, int (64 bits), float, str, bytes, or a list of one of these types.

    Args:
        config_dict: the initial items.
        keep_input: False empties `config_dict` after its items were added.

    Raises:
        TypeError: a value of another type.
    """

    __slots__ = ()

    def __init__(self, config_dict: Mapping[str, ConfigValue] | None = None, keep_input: bool = True) -> None:
        """Create a record, optionally from the items of `config_dict`."""
        super().__init__(config_dict)
        if not keep_input and isinstance(config_dict, dict):
            config_dict.clear()

    @classmethod
    def check_value(cls, key: str, value: object) -> ConfigValue:
        """`value`, converted to a plain Python type where necessary. Raises TypeError for a type that the record does not allow."""
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
        """The size in bytes: 1 for a bool, 8 for a number, the length of a str (UTF-8) or of bytes; plus the keys."""
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


MetricValue = int | float | list[int] | list[float]


class MetricRecord(Record[MetricValue]):
    """A dict of numbers: int (64 bits), float, or a list of ints or of floats.

    NumPy scalars become plain numbers. bool is not allowed.

    Args:
        metric_dict: the initial items.
        keep_input: False empties `metric_dict` after its items were added.

    Raises:
        TypeError: a value of another type.
    """

    __slots__ = ()

    def __init__(self, metric_dict: Mapping[str, MetricValue] | None = None, keep_input: bool = True) -> None:
        """Create a record, optionally from the items of `metric_dict`."""
        super().__init__(metric_dict)
        if not keep_input and isinstance(metric_dict, dict):
            metric_dict.clear()

    @classmethod
    def check_value(cls, key: str, value: object) -> MetricValue:
        """`value`, converted to a plain Python type where necessary. Raises TypeError for a type that the record does not allow."""
        kind = type(value)
        if kind is float or (kind is int and fits(value)):
            return value  # type: ignore[return-value]
        if isinstance(value, list):
            return check_list(key, value, (int, float), cls.__name__)
        if isinstance(value, (np.integer, np.floating)):
            return value.item()
        raise TypeError(
            f"MetricRecord[{key!r}] must be an int, a float or a list of one of them, not {kind.__name__}; an int must fit into 64 bits."
        )

    def count_bytes(self) -> int:
        """The size in bytes: 8 for each number plus the length of the keys in UTF-8."""
        numbers = sum(len(value) if isinstance(value, list) else 1 for value in self.values())
        return 8 * numbers + sum(len(key.encode()) for key in self)
