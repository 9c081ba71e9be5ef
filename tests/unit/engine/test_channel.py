"""Frames and descriptors between a process and its worker."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.engine import shared_memory
from umbel.engine.frames import Channel, RawFrame


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    """A non-blocking and a blocking end."""
    left, right = socket.socketpair()
    left.setblocking(False)
    channels = Channel(left), Channel(right)
    yield channels
    for channel in channels:
        channel.close()


def test_frames_come_in_order_with_their_descriptors(ends: tuple[Channel, Channel]) -> None:
    """Each frame brings the descriptors it was sent with, also between frames that bring none."""
    ours, theirs = ends
    fds = [shared_memory.write([str(number).encode()])[0] for number in range(3)]
    theirs.send(b"first")
    theirs.send(b"second", fds[:2])
    theirs.send(b"third", fds[2:])
    frames: list[RawFrame] = []
    while len(frames) < 3:  # one read may end where descriptors begin
        frames += ours.received()
    assert [payload for payload, _ in frames] == [b"first", b"second", b"third"]
    assert [[os.pread(fd, 9, 0) for fd in received] for _, received in frames] == [[], [b"0", b"1"], [b"2"]]
    for fd in [*fds, *(fd for _, received in frames for fd in received)]:
        os.close(fd)


def test_a_large_frame_is_queued_until_the_other_end_reads(ends: tuple[Channel, Channel]) -> None:
    """A non-blocking end never waits: what the socket does not take is sent by `flush` later."""
    ours, theirs = ends
    payload = os.urandom(3_000_000)
    ours.send(payload)
    pending = ours.pending
    assert pending
    received = bytearray()
    theirs._socket.setblocking(False)
    while pending:
        received += b"".join(frame for frame, _ in theirs.received())
        ours.flush()
        pending = ours.pending
    while len(received) < len(payload):
        received += b"".join(frame for frame, _ in theirs.received())
    assert bytes(received) == payload


def test_the_end_of_the_other_side_is_told_after_its_last_frame(ends: tuple[Channel, Channel]) -> None:
    """What was sent before the other end closed is not lost."""
    ours, theirs = ends
    theirs.send(b"farewell")
    theirs.close()
    frames = ours.received()
    assert next(frames)[0] == b"farewell"
    with pytest.raises(EOFError):
        list(itertools.chain(frames, ours.received()))


@given(parts=st.lists(st.binary(max_size=2000), max_size=600))
def test_a_segment_holds_its_parts_one_after_another(parts: list[bytes]) -> None:
    """Any number of parts, empty ones too."""
    fd, size = shared_memory.write(parts)
    try:
        assert os.pread(fd, size + 1, 0) == b"".join(parts)
    finally:
        os.close(fd)
