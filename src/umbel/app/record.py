"""The dictionary with checked keys and values that all records are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

import numpy as np

V = TypeVar("V")


class Record(dict[str, V]):
    """A dict from str to values of the record's kind; anything else raises TypeError on the way in."""

    __slots__ = ()

    def __init__(self, values: Mapping[str, V] | None = None) -> None:
        """Take over `values`, each checked."""
        super().__init__()
        if values is not None:
            check, put = self.check_value, super().__setitem__
            for key, value in values.items():
                put(self._check_key(key), check(key, value))

    @classmethod
    def check_value(cls, key: str, value: object) -> V:
        """`value`, possibly brought to its plain form. Raises TypeError, naming `key`, when it does not belong here."""
        raise NotImplementedError

    @classmethod
    def _check_key(cls, key: object) -> str:
        if type(key) is not str:
            raise TypeError(f"A key of {cls.__name__} must be a str, not {type(key).__name__}.")
        return key

    def __setitem__(self, key: str, value: V) -> None:
        super().__setitem__(self._check_key(key), self.check_value(key, value))

    def update(self, *args: Mapping[str, V] | Iterable[tuple[str, V]], **kwargs: V) -> None:  # type: ignore[override]
        """Set each of the given items, checked."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: V) -> V:
        """The value of `key`, set to `default` when absent."""
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
    """Whether an int can travel: it must fit into 64 bits."""
    return isinstance(value, int) and -(2**63) <= value < 2**64


def check_list(key: str, value: list[Any], allowed: tuple[type, ...], owner: str) -> list[Any]:
    """`value`, a list whose elements are all of one of the `allowed` types; NumPy's become plain ones. Raises TypeError otherwise."""
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
