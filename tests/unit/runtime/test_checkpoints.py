"""Checkpoints, and the exchange from which a later attempt resumes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from umbel.app.safetensors import Part
from umbel.errors import CheckpointInvalid
from umbel.runtime.checkpoints import Checkpoints, Position


class Shelf:
    """A store for checkpoints, of which the test decides when each is durable."""

    def __init__(self) -> None:
        self.saved: list[tuple[int, bytes, Callable[[], None]]] = []

    def save(self, server_round: int, parts: Sequence[Part], durable: Callable[[], None]) -> None:
        """Store a checkpoint; the test calls `durable`."""
        self.saved.append((server_round, b"".join(parts), durable))


def after(exchanges: int, earlier: bytes | None = None) -> tuple[Shelf, Checkpoints]:
    """The checkpoints of a run after that many exchanges."""
    shelf = Shelf()
    checkpoints = Checkpoints(shelf.save, earlier)
    for _ in range(exchanges):
        checkpoints.position.advance()
    return shelf, checkpoints


def test_without_a_checkpoint_only_the_newest_states_are_needed() -> None:
    """A later attempt starts from the beginning, so that older client states are not needed."""
    position = Position()
    assert [position.advance(), position.advance()] == [1, 2]
    assert position.needed_from == 2


def test_states_since_the_oldest_usable_checkpoint_are_needed() -> None:
    """They are needed from the first checkpoint, which may become durable, and then from the newest durable one."""
    position = Position()
    position.advance()
    first = position.saving()
    position.advance()
    second = position.saving()
    position.advance()
    assert position.needed_from == 1
    second()
    assert position.needed_from == 2
    first()  # told late: an older one makes nothing older
    assert position.needed_from == 2
    position.advance()
    position.saving()
    assert position.needed_from == 2


def test_states_of_the_resumed_checkpoint_are_needed() -> None:
    """They are needed until a newer checkpoint is durable."""
    position = Position()
    position.restore(7, 4)
    assert position.advance() == 8
    assert (position.needed_from, position.call) == (7, 4)
    durable = position.saving()
    assert position.needed_from == 7
    durable()
    assert position.needed_from == 8


def test_a_checkpoint_is_restored() -> None:
    """The strategy gets its own bytes; the exchange number is restored once the strategy has accepted them."""
    shelf, checkpoints = after(5)
    checkpoints.position.call = 2
    checkpoints.save(3, [b"model", memoryview(b"state")])
    ((server_round, stored, _),) = shelf.saved
    assert server_round == 3
    _, again = after(0, stored)
    loaded = again.load()
    assert loaded is not None
    assert bytes(loaded) == b"modelstate"
    assert again.position.exchange == 0
    again.resumed()
    assert (again.position.advance(), again.position.call) == (6, 2)


def test_the_random_numbers_continue() -> None:
    """The global generators of Python and NumPy, including a cached normal number, draw what they would have drawn."""
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - what apps use is the global generator
    random.gauss()
    np.random.standard_normal()  # noqa: NPY002 - as above
    shelf, checkpoints = after(1)
    checkpoints.save(1, [b"model"])

    def draw() -> list[float]:
        return [random.gauss(), random.random(), float(np.random.standard_normal()), float(np.random.rand())]  # noqa: NPY002

    drawn = draw()
    _, again = after(0, shelf.saved[0][1])
    again.load()
    assert draw() != drawn
    again.resumed()
    assert draw() == drawn


def test_a_first_attempt_has_no_checkpoint() -> None:
    """The first attempt starts from the beginning."""
    assert after(0)[1].load() is None


@pytest.mark.parametrize("cut", [1, 8, 24, 2000])
def test_a_truncated_checkpoint_is_rejected(cut: int) -> None:
    """A checkpoint that is cut at either end, or empty, raises CheckpointInvalid."""
    shelf, checkpoints = after(1)
    checkpoints.save(1, [b"model"])
    stored = shelf.saved[0][1]
    for damaged in (stored[:-cut], stored[-cut:] if cut < 2000 else b""):
        with pytest.raises(CheckpointInvalid, match="truncated"):
            after(0, damaged)[1].load()


def test_damaged_generator_states_are_rejected() -> None:
    """Undecodable states raise CheckpointInvalid, and the position stays unchanged."""
    shelf, checkpoints = after(4)
    checkpoints.save(1, [b"model"])
    stored = bytearray(shelf.saved[0][1])
    stored[len(b"model")] ^= 0xFF
    _, again = after(0, bytes(stored))
    again.load()
    with pytest.raises(CheckpointInvalid, match="The random state in the checkpoint is damaged"):
        again.resumed()
    assert again.position.exchange == 0
