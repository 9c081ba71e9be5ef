"""Attributes of custom strategies that no checkpoint covers."""

from __future__ import annotations

import hashlib
import inspect
from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from enum import Enum
from logging import Logger
from pathlib import PurePath
from types import ModuleType

import numpy as np

from umbel.app.array import Array
from umbel.serverapp.strategy import Strategy

_PLAIN = (type(None), bool, int, float, complex, str, bytes, PurePath, date, timedelta, Enum, np.generic)
_LISTS = (list, tuple, deque)
_TOOLS = (type, ModuleType, Logger)


def memory(strategy: Strategy) -> object:
    """Something that compares equal to itself at another time when the app's classes remember the same at both.

    It looks at the attributes of `strategy`, and of those that it wraps, where their classes are an app's. What cannot be looked into
    counts as something else each time.
    """
    return tuple(
        (name, _frozen(value, ()))
        for each in _wrapped(strategy)
        if not _is_umbels(type(each))
        for name, value in sorted(vars(each).items())
        if name not in _of_umbel(type(each)) and not isinstance(value, Strategy)
    )


def _wrapped(strategy: Strategy) -> Iterator[Strategy]:
    inner: object = strategy
    while isinstance(inner, Strategy):
        yield inner
        inner = vars(inner).get("strategy")


def _is_umbels(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "umbel"


def _of_umbel(cls: type) -> set[str]:
    """The private names that Umbel's classes above `cls` use: what they keep under them is in their state, or not needed again."""
    values = [value for base in cls.__mro__ if _is_umbels(base) for value in vars(base).values() if callable(value)]
    functions = filter(inspect.isfunction, map(inspect.unwrap, values))
    return {name for function in functions for name in function.__code__.co_names if name.startswith("_")}


def _frozen(value: object, within: tuple[int, ...]) -> object:
    if isinstance(value, _PLAIN):
        return type(value), repr(value)
    if inspect.isroutine(value) or isinstance(value, _TOOLS) or id(value) in within:
        return id(value)
    if isinstance(value, (np.ndarray, Array)):
        array = np.ascontiguousarray(value if isinstance(value, np.ndarray) else value.numpy())
        return array.dtype.str, array.shape, hashlib.sha256(array.data).digest()
    within = (*within, id(value))
    if isinstance(value, Mapping):
        return type(value), tuple((_frozen(key, within), _frozen(each, within)) for key, each in value.items())
    if isinstance(value, AbstractSet):
        return type(value), frozenset(_frozen(each, within) for each in value)
    if isinstance(value, _LISTS):
        return type(value), tuple(_frozen(each, within) for each in value)
    if hasattr(value, "__dict__") and not _has_more(type(value)):
        return type(value), _frozen(vars(value), within)
    return object()


def _has_more(cls: type) -> bool:
    """Whether its objects have more to them than attributes, as tensors have: they must say then how they are copied."""
    return any(getattr(cls, name) is not getattr(object, name) for name in ("__reduce_ex__", "__reduce__"))
