"""Checkpoints, and from which exchange on a later attempt may have to continue."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from umbel.app.safetensors import Part
from umbel.errors import CheckpointInvalid
from umbel.runtime.checkpoints import Checkpoints, Position


class Shelf:
    """Where checkpoints are stored, and when each is durable."""

    def __init__(self) -> None:
        self.saved: list[tuple[int, bytes, Callable[[], None]]] = []

    def save(self, server_round: int, parts: Sequence[Part], durable: Callable[[], None]) -> None:
        """Store a checkpoint; the test calls `durable`."""
        self.saved.append((server_round, b"".join(parts), durable))


def after(exchanges: int, earlier: bytes | None = None) -> tuple[Shelf, Checkpoints]:
    """Checkpoints of a run that has had that many exchanges."""
    shelf = Shelf()
    checkpoints = Checkpoints(shelf.save, earlier)
    for _ in range(exchanges):
        checkpoints.position.advance()
    return shelf, checkpoints


def test_what_is_needed_while_there_is_no_checkpoint() -> None:
    """A later attempt begins from nothing: of the states none is needed but the newest."""
    position = Position()
    assert [position.advance(), position.advance()] == [1, 2]
    assert position.needed_from == 2


def test_what_is_needed_from_the_first_checkpoint_on() -> None:
    """From when one is taken, for it may become durable; then from the newest that is, whatever is taken meanwhile."""
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


def test_what_is_needed_after_going_on() -> None:
    """The checkpoint that the attempt continued from, until a newer one is durable."""
    position = Position()
    position.restore(7, 4)
    assert position.advance() == 8
    assert (position.needed_from, position.call) == (7, 4)
    durable = position.saving()
    assert position.needed_from == 7
    durable()
    assert position.needed_from == 8


def test_a_checkpoint_comes_back() -> None:
    """The strategy gets its own bytes; the exchanges continue from where it was taken, once the strategy has taken it."""
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


def test_the_random_numbers_go_on() -> None:
    """Python's and NumPy's global generators, half-used normal numbers included, draw what they would have drawn."""
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


def test_without_an_earlier_attempt_there_is_nothing() -> None:
    """The first attempt begins at the beginning."""
    assert after(0)[1].load() is None


@pytest.mark.parametrize("cut", [1, 8, 24, 2000])
def test_a_checkpoint_that_is_cut_off_is_refused(cut: int) -> None:
    """At its end or at its beginning, even to nothing."""
    shelf, checkpoints = after(1)
    checkpoints.save(1, [b"model"])
    stored = shelf.saved[0][1]
    for damaged in (stored[:-cut], stored[-cut:] if cut < 2000 else b""):
        with pytest.raises(CheckpointInvalid, match="truncated"):
            after(0, damaged)[1].load()


def test_generators_that_are_damaged_are_refused() -> None:
    """What cannot be decoded is a checkpoint that does not fit, not a crash, and leaves the position alone."""
    shelf, checkpoints = after(4)
    checkpoints.save(1, [b"model"])
    stored = bytearray(shelf.saved[0][1])
    stored[len(b"model")] ^= 0xFF
    _, again = after(0, bytes(stored))
    again.load()
    with pytest.raises(CheckpointInvalid, match="The random state in the checkpoint is damaged"):
        again.resumed()
    assert again.position.exchange == 0
