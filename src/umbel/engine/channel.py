"""A two-way channel between a process and its worker: frames of bytes, each with file descriptors if need be.

A frame is its length (4 bytes, little-endian), the number of descriptors (1 byte) and the payload, over a Unix socket. The descriptors
travel with the frame's first bytes.
"""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence

_HEAD = 5
_MAX_FDS = 64  # a frame carries no more; the kernel allows 253
_CHUNK = 1 << 18
_SPACE = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)

Frame = tuple[bytes, list[int]]


class Channel:
    """One end. Blocking for a worker; a process with many workers sets its ends non-blocking and calls `flush` when they are writable."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over `sock`, a connected Unix stream socket."""
        self._socket = sock
        self._received = bytearray()
        self._fds: deque[int] = deque()
        self._outgoing: deque[tuple[memoryview, Sequence[int]]] = deque()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def setblocking(self, blocking: bool) -> None:
        """Whether to wait where there is nothing to receive, or no room to send."""
        self._socket.setblocking(blocking)

    def send(self, payload: bytes, fds: Sequence[int] = ()) -> None:
        """Send a frame, or queue what the socket does not take now. The descriptors may be closed once `pending` is False."""
        if len(fds) > _MAX_FDS:
            raise ValueError(f"A frame carries at most {_MAX_FDS} descriptors.")
        head = len(payload).to_bytes(4, "little") + bytes([len(fds)])
        self._outgoing.append((memoryview(head + payload), [os.dup(fd) for fd in fds]))
        self.flush()

    @property
    def pending(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._outgoing)

    def flush(self) -> None:
        """Send what the socket takes. Raises OSError when the other end is gone."""
        while self._outgoing:
            data, fds = self._outgoing[0]
            try:
                sent = socket.send_fds(self._socket, [data], fds) if fds else self._socket.send(data)
            except BlockingIOError:
                return
            for fd in fds:
                os.close(fd)
            if sent == len(data):
                self._outgoing.popleft()
            else:
                self._outgoing[0] = (data[sent:], ())

    def receive(self) -> Frame:
        """Wait for a frame. Raises EOFError when the other end is closed."""
        while True:
            frame = self._take()
            if frame is not None:
                return frame
            if not self._fill():
                raise EOFError

    def received(self) -> Iterator[Frame]:
        """The frames that are there, without waiting. Raises EOFError, after the last frame, when the other end is closed."""
        try:
            ended = not self._fill()
        except BlockingIOError:
            ended = False
        while (frame := self._take()) is not None:
            yield frame
        if ended:
            raise EOFError

    def _fill(self) -> bool:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_CHUNK, _SPACE)
        except ConnectionResetError:
            return False
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
                self._fds.extend(fds)
        self._received += data
        return bool(data)

    def _take(self) -> Frame | None:
        if len(self._received) < _HEAD:
            return None
        end = _HEAD + int.from_bytes(self._received[:4], "little")
        if len(self._received) < end:
            return None
        fds = [self._fds.popleft() for _ in range(self._received[4])]
        payload = bytes(memoryview(self._received)[_HEAD:end])
        del self._received[:end]
        return payload, fds

    def close(self) -> None:
        """Close the socket and every descriptor that was not handed on."""
        for _, fds in self._outgoing:
            for fd in fds:
                os.close(fd)
        for fd in self._fds:
            os.close(fd)
        self._outgoing.clear()
        self._fds.clear()
        self._socket.close()
