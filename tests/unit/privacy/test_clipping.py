"""Clipping, and updates as numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clients import bits
from tests.support.examples import examples
from umbel.app import Array, ArrayRecord
from umbel.privacy.clipping import clip, l2_norm, moved, numbers, update_of


def test_by_hand() -> None:
    """(3, 0, 4) is 5 long over both its parts: clipped to 1 it is (0.6, 0, 0.8), clipped to 5 itself."""
    parts = [np.array([3.0, 0.0]), np.array([4.0], np.float32)]
    assert clip(parts, 5.0) == 5.0
    assert (parts[0].tolist(), parts[1].tolist()) == ([3.0, 0.0], [4.0])
    assert clip(parts, 1.0) == 5.0
    assert np.allclose(np.concatenate(parts), [0.6, 0, 0.8])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.floats(1e-3, 1e3))
@settings(max_examples=examples(40))
def test_it_is_never_longer_and_keeps_its_direction(values: list[float], bound: float) -> None:
    """Whatever the update: within the bound, up to rounding, and a shorter copy of itself."""
    before = np.array(values)
    after = before.copy()
    length = clip([after], bound)
    assert l2_norm([after]) <= bound * (1 + 1e-12)
    assert np.allclose(after, before * min(1, bound / length) if length else before, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_a_length_that_is_no_number_is_refused(bad: float) -> None:
    """NaN, infinity and an overflowing length do not become a silent zero or NaN."""
    with pytest.raises(ValueError, match="not finite"):
        clip([np.array([1.0, bad])], 1.0)


def test_a_length_is_reckoned_in_64_bits() -> None:
    """Float32 elements whose squares overflow, and many small ones, have their true length."""
    assert l2_norm([np.full(100_000, 1e30, np.float32)]) == pytest.approx(1e30 * 100_000**0.5, rel=1e-6)


def test_an_update_goes_there_and_back() -> None:
    """Sent + (reply - sent) is the reply, for every element type, in scalars, empty tensors and tensors of many dimensions."""
    sent = ArrayRecord({t: Array(np.array(3).astype(t)) for t in ("int64", "float16", "complex64")})
    reply = ArrayRecord({t: Array(np.array(5).astype(t)) for t in ("int64", "float16", "complex64")})
    sent["e"], reply["e"] = Array(np.zeros((0, 2))), Array(np.zeros((0, 2)))
    sent["b"] = Array.from_storage("bfloat16", np.array([[0x3F80, 0x4000]], np.uint16))
    reply["b"] = Array.from_storage("bfloat16", np.array([[0x4040, 0xC000]], np.uint16))
    before = numbers(sent)
    update = update_of(reply, sent, before)
    assert [change.tolist() for change in update] == [[2.0], [2.0], [2.0, 0.0], [], [2.0, -4.0]]
    assert bits(moved(sent, before, update)) == bits(reply)
