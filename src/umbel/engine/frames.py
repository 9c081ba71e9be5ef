"""Frames between the engine and its workers, and the channel that carries them."""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from umbel.serverapp.aggregation.weighted_sum import Schema
from umbel.wire.records import Plain

_HEAD = 5
_MAX_FDS = 64  # a frame carries no more; the kernel allows 253
_CHUNK = 1 << 18
_SPACE = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)

RawFrame = tuple[bytes, list[int]]


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

    def receive(self) -> RawFrame:
        """Wait for a frame. Raises EOFError when the other end is closed."""
        while True:
            frame = self._take()
            if frame is not None:
                return frame
            if not self._fill():
                raise EOFError

    def received(self) -> Iterator[RawFrame]:
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

    def _take(self) -> RawFrame | None:
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


UserConfig = dict[str, bool | int | float | str]


class Frame(msgspec.Struct, array_like=True, tag=True):
    """Base of all frames."""


# To the worker.


class Setup(Frame):
    """The first frame: which app to load and what its clients share."""

    app_dir: str
    clientapp: str  # "module:attr"
    run_id: int
    seed: int
    run_config: UserConfig
    first_node_id: int
    num_partitions: int
    state_dir: str
    node_config: UserConfig | None = None  # of a real site, whose clients have no partitions


class Content(Frame):
    """A message's content, used by units that follow. Either in `data` or in the shared memory that comes with the frame."""

    content_id: int
    data: bytes | None = None
    size: int = 0


class Forget(Frame):
    """Contents that no unit needs any longer, and lent memory that may be reused."""

    content_ids: list[int] = []
    segment_ids: list[int] = []


class Unit(Frame):
    """Serve these clients: messages `start` … `start + len(node_ids) - 1` in dispatch order, one after another."""

    unit_id: int
    exchange: int  # counts the exchanges of the run from 1; later exchanges see the state that earlier ones left
    keep_from: int  # client states older than the newest at this exchange are no longer needed
    start: int
    node_ids: list[int]
    content_ids: list[int]  # one for all, or one each
    message_type: str
    ttl: float
    created_at: float
    group_id: str
    reduction: tuple[str, dict[str, Any]] | None = None
    reply_file: str = ""  # where to write a large reply, if not to memory that is lent; for a unit of one client


ToWorker = Setup | Content | Forget | Unit

# From the worker.


class Ready(Frame):
    """The app is loaded, or it is not and `error` says why."""

    error: str | None = None
    hint: str | None = None
    traceback: str = ""


class PlainReply(Frame):
    """A reply without arrays, or with arrays that were folded (`schema` is an index in the unit's schemas) or packed elsewhere."""

    index: int
    node_id: int
    content: Plain | None = None
    error: tuple[int, str | None] | None = None
    schema: int | None = None
    packed: bytes | None = None  # whole content, small
    segment: int = 0  # whole content, in the worker's memory of this id, lent until it is given back
    size: int = 0  # bytes of it, or of the unit's reply file
    is_new: bool = False  # the segment's descriptor comes with this frame


class Sum(Frame):
    """The sum of a subtree's models of one schema: in `data`, or in the worker's memory `segment`, lent until it is given back."""

    level: int
    position: int
    schema: int  # index in the schemas of the unit
    weight: float
    count: int
    first: int
    data: bytes | None = None
    segment: int = 0
    size: int = 0
    is_new: bool = False  # the segment's descriptor comes with this frame


class Served(Frame):
    """A unit is done, or as much of it as was not taken back."""

    unit_id: int
    replies: list[PlainReply]
    schemas: list[Schema] = []
    sums: list[Sum] = []
    missing: list[tuple[int, int]] = []  # subtrees (level, position) without a usable reply
    seconds: float = 0.0  # from begin to end
    blocked_seconds: float = 0.0  # thereof neither on a processor nor waiting for one
    peak_bytes: int = 0  # largest resident size of the worker so far


class Log(Frame):
    """A line that the app wrote."""

    text: str
    level: str = "INFO"
    node_id: int | None = None


class Progress(Frame):
    """How far the app says it is with the message it serves."""

    done: float
    total: float
    unit: str


class Failed(Frame):
    """The worker has failed in a way that any other would, too: an error of `umbel.errors`."""

    code: str
    message: str
    hint: str | None = None


FromWorker = Ready | Served | Log | Progress | Failed

encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
