"""Buffers in shared memory that a worker lends to the process it works for."""

from __future__ import annotations

import os

from umbel.engine.pool import SHARED_FROM, SegmentPool


def test_a_small_buffer_is_not_lent() -> None:
    """A buffer below the limit is ordinary memory, and `lend` has nothing to lend."""
    pool = SegmentPool()
    descriptors: list[int] = []
    buffer = pool.allocate(SHARED_FROM - 1)
    assert pool.lend(buffer, descriptors) is None
    assert (buffer.nbytes, descriptors) == (SHARED_FROM - 1, [])


def test_the_descriptor_of_a_segment_is_sent_once() -> None:
    """The first loan of a segment comes with its descriptor, through which the bytes are readable; later loans do not."""
    pool = SegmentPool()
    descriptors: list[int] = []
    buffer = pool.allocate(SHARED_FROM)
    buffer[:3] = [1, 2, 3]
    loan = pool.lend(buffer, descriptors)
    assert loan is not None
    segment_id, is_new = loan
    assert is_new
    assert os.pread(descriptors[0], 3, 0) == bytes([1, 2, 3])
    pool.give_back(segment_id)
    assert pool.lend(buffer, descriptors) == (segment_id, False)
    assert len(descriptors) == 1


def test_a_segment_is_used_again_once_it_is_free() -> None:
    """A segment serves another buffer of its size when no one holds it: not while it is lent, but after it is given back."""
    pool = SegmentPool()
    descriptors: list[int] = []
    buffer = pool.allocate(SHARED_FROM)
    address = buffer.ctypes.data
    loan = pool.lend(buffer, descriptors)
    assert loan is not None
    del buffer  # the worker drops it, the borrower still reads it
    other = pool.allocate(SHARED_FROM)
    assert other.ctypes.data != address
    pool.give_back(loan[0])
    assert pool.allocate(SHARED_FROM).ctypes.data == address
