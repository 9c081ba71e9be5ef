"""Attributes of custom strategies that no checkpoint covers."""

from __future__ import annotations

import logging
import random
import re
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from umbel.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from umbel.compat.flwr import strategy as flowers
from umbel.compat.flwr.app_state import memory


class Helper:
    """An object of an app."""

    def __init__(self) -> None:
        self.best = [0.0, 1.0]


class Own(flowers.FedAdam):
    """A strategy of an app."""

    def __init__(self, remembered: object) -> None:
        """Remember it."""
        super().__init__()
        self.remembered = remembered


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        [1, (2.5, "x"), {3}, deque([4])],
        {1: {"a": b"b"}},
        np.ones(3),
        np.float32(0.1),
        Array(np.zeros(2, np.float32)),
        ArrayRecord([np.ones((2, 3))[:, ::2]]),
        ConfigRecord({"lr": 0.1}),
        Helper(),
        Path("model"),
        datetime(2026, 1, 1),  # noqa: DTZ001 - as apps write it
        np.mean,
        print,
        logging.getLogger("app"),
        re,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_stays_as_it_was_is_the_same(value: object) -> None:
    """Attributes of all kinds compare equal to themselves at a later time."""
    strategy = Own(value)
    assert memory(strategy) == memory(strategy)


def append(values: list[int]) -> None:
    values.append(3)


def set_item(values: dict[int, list[int]]) -> None:
    values[1].append(2)


def add(values: np.ndarray) -> None:
    values += 1


def replace(arrays: ArrayRecord) -> None:
    arrays["0"] = Array(np.zeros(1))


def improve(helper: Helper) -> None:
    helper.best[0] = 2.0


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([1, 2], append),
        ({1: [1]}, set_item),
        (np.ones(2), add),
        (ArrayRecord([np.ones(1)]), replace),
        (Helper(), improve),
    ],
)
def test_a_change_within_is_seen(value: object, change: Callable[[object], None]) -> None:
    """A change at any depth of an attribute is detected."""
    strategy = Own(value)
    before = memory(strategy)
    change(value)
    assert memory(strategy) != before


@pytest.mark.parametrize(
    "value",
    [random.Random(1), np.random.default_rng(1), threading.Lock(), Message(RecordDict(), 1, "train")],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_looked_into_is_taken_for_changed(value: object) -> None:
    """Objects that cannot be compared count as changed, so a round is repeated rather than lost."""
    strategy = Own([value])
    assert memory(strategy) != memory(strategy)


def test_an_object_that_holds_itself_can_be_looked_at() -> None:
    """As those that know their strategy."""
    values: list[object] = [1]
    values.append(values)
    assert memory(Own(values)) == memory(Own(values))


def test_new_attributes_and_changed_settings_are_seen() -> None:
    """A setting of the strategy is no part of its state either."""
    strategy = Own(1)
    before = memory(strategy)
    strategy.fraction_train = 0.5
    assert memory(strategy) != before
    strategy.fraction_train = 1.0
    assert memory(strategy) == before
    strategy.best = 0.1  # type: ignore[attr-defined]
    assert memory(strategy) != before


def test_what_umbel_keeps_is_left_out() -> None:
    """It is in the state; and so is all of a strategy that is not of an app."""
    strategy = Own(1)
    before = memory(strategy)
    vars(strategy)["_m"] = np.ones(3)
    assert memory(strategy) == before
    plain = flowers.FedAdam()
    before = memory(plain)
    plain.eta = 0.5
    assert memory(plain) == before


def test_a_wrapped_strategy_counts() -> None:
    """What privacy is wrapped around may be an app's."""
    own = Own([1])
    wrapper = flowers.DifferentialPrivacyServerSideFixedClipping(own, 1.0, 1.0, 10)
    before = memory(wrapper)
    assert memory(wrapper) == before
    own.remembered = 2
    assert memory(wrapper) != before
