"""The worker process: loads the ClientApp once and serves one client after another until its parent is gone.

Started as `python -m umbel.engine.worker CHANNEL LIFELINE WHEREABOUTS`, each a descriptor inherited from the parent: the socket of
the channel, the read end of a pipe that closes when the parent dies, and the shared words that tell the parent which message is being
served, so that it knows whose fault it was when this process dies.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from umbel._os import is_disk_full
from umbel.app.context import Context
from umbel.app.message import ErrorCode, Message, Metadata
from umbel.app.recorddict import RecordDict
from umbel.app.safetensors import Part
from umbel.clientapp import clientapp
from umbel.engine import frames, shared_memory
from umbel.engine.client_state import StateStore
from umbel.engine.clients import ClientServer, LineCapture, Population
from umbel.engine.contents import ReceivedContent
from umbel.engine.frames import Channel
from umbel.engine.loader import load_component
from umbel.engine.pool import SegmentPool
from umbel.engine.resources import Stopwatch, peak_bytes
from umbel.engine.shared_memory import SharedCursor
from umbel.errors import AppLoadError, StorageFull
from umbel.serverapp.aggregation.reduction import Fold, Reduction, Reply, from_spec
from umbel.serverapp.aggregation.weighted_sum import Schema, WeightedSum
from umbel.wire.records import pack, to_plain

_INLINE_BELOW = 256 * 1024  # bytes of a reply that travel in the frame itself
_LONGEST_LINE = 8_192  # characters of a log line that are kept


class Worker:
    """One worker's state: its channel, the contents it has, the memory it lends."""

    def __init__(self, channel: Channel, whereabouts: SharedCursor) -> None:
        """`whereabouts` is shared with the parent."""
        self._channel = channel
        self._whereabouts = whereabouts
        self._sending = threading.Lock()
        self._contents: dict[int, ReceivedContent] = {}
        self._pool = SegmentPool()
        self._node_id: int | None = None
        self._server: ClientServer | None = None

    def run(self) -> None:
        """Answer frames until the channel is closed."""
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            while True:
                payload, fds = self._channel.receive()
                self._take(frames.decode_to_worker(payload), fds)

    def _take(self, frame: frames.ToWorker, fds: list[int]) -> None:
        match frame:
            case frames.Unit():
                try:
                    self._serve(frame)
                except StorageFull as error:
                    self._send(frames.Failed(error.code, error.message, error.hint))
            case frames.Content():
                self._contents[frame.content_id] = _content(frame, fds)
            case frames.Forget():
                for content_id in frame.content_ids:
                    self._contents.pop(content_id).close()
                for segment_id in frame.segment_ids:
                    self._pool.give_back(segment_id)
            case frames.Setup():
                self._set_up(frame)

    def _set_up(self, setup: frames.Setup) -> None:
        sys.stdout, sys.stderr = LineCapture(self._log, "INFO"), LineCapture(self._log, "WARNING")
        try:
            app: Callable[[Message, Context], Message] = load_component(setup.app_dir, setup.clientapp)
        except AppLoadError as error:
            self._send(frames.Ready(error.message, error.hint, error.traceback))
            return
        population = Population(
            setup.run_id, setup.seed, setup.run_config, setup.first_node_id, setup.num_partitions, setup.node_config
        )
        if setup.node_config is not None:
            clientapp.listen(self._progress)
        self._server = ClientServer(app, population, StateStore(setup.state_dir))
        gc.freeze()  # what is loaded stays: looking through it again and again for garbage would cost more than a quick client
        self._send(frames.Ready())

    def _serve(self, unit: frames.Unit) -> None:
        watch = Stopwatch()
        fds: list[int] = []
        if unit.reduction is None:
            replies = [self._packed(*indexed, fds, unit.reply_file) for indexed in self._replies(unit)]
            served = frames.Served(unit.unit_id, replies)
        else:
            served = self._folded(unit, from_spec(*unit.reduction), fds)
        served.seconds, served.blocked_seconds = watch.read()
        served.peak_bytes = peak_bytes()
        self._send(served, fds)
        for fd in fds:
            shared_memory.close(fd)  # each is sent once; both sides have mapped it

    def _folded(self, unit: frames.Unit, reduction: Reduction, fds: list[int]) -> frames.Served:
        fold = Fold(reduction, self._pool.allocate)
        for index, reply in self._replies(unit):
            fold.add(index, reply, self._content(unit, index - unit.start).sent)
        subtrees, replies = fold.parts()
        served = frames.Served(unit.unit_id, [])
        for level, position, partial in subtrees:
            if partial is None:
                served.missing.append((level, position))
                continue
            for schema, total in partial.items():
                if schema not in served.schemas:
                    served.schemas.append(schema)
                served.sums.append(self._sum(level, position, served.schemas.index(schema), total, fds))
        served.replies = [_plain(index, reply, served.schemas) for index, reply in replies]
        return served

    def _replies(self, unit: frames.Unit) -> Iterator[tuple[int, Message]]:
        assert self._server is not None
        for offset, node_id in enumerate(unit.node_ids):
            index = unit.start + offset
            self._whereabouts.move_to((unit.unit_id, index))
            if self._whereabouts.is_cut((unit.unit_id, index)):
                break
            self._node_id = node_id
            content = self._content(unit, offset).fresh()
            message = _message(unit, index, node_id, content, self._server.run_id)
            yield index, self._server.serve(message, unit.exchange, unit.keep_from)
        self._whereabouts.move_to(
            (unit.unit_id, unit.start + len(unit.node_ids))
        )  # past its end: nothing can be taken back
        self._node_id = None

    def _content(self, unit: frames.Unit, offset: int) -> ReceivedContent:
        return self._contents[unit.content_ids[offset if len(unit.content_ids) > 1 else 0]]

    def _packed(self, index: int, reply: Message, fds: list[int], file: str) -> frames.PlainReply:
        node_id = reply.metadata.src_node_id
        if reply.has_error():
            return frames.PlainReply(index, node_id, error=(reply.error.code, reply.error.reason))
        try:
            parts = pack(reply.content)
        except (OverflowError, UnicodeError, ValueError) as error:
            return _unsendable(index, node_id, error)
        size = sum(len(part) for part in parts)
        if size < _INLINE_BELOW:
            return frames.PlainReply(index, node_id, packed=b"".join(parts))
        if file:
            _write(file, parts)
            return frames.PlainReply(index, node_id, size=size)
        buffer = self._pool.allocate(size)
        shared_memory.fill(buffer.data, parts)
        lent = self._pool.lend(buffer, fds)
        assert lent is not None
        return frames.PlainReply(index, node_id, segment=lent[0], size=size, is_new=lent[1])

    def _sum(self, level: int, position: int, schema: int, total: WeightedSum, fds: list[int]) -> frames.Sum:
        lent = self._pool.lend(total.buffer, fds)
        head = frames.Sum(level, position, schema, total.weight, total.count, total.first, size=total.buffer.nbytes)
        if lent is None:
            head.data = total.buffer.tobytes()
        else:
            head.segment, head.is_new = lent
        return head

    def _log(self, text: str, level: str) -> None:
        self._send(frames.Log(text[:_LONGEST_LINE], level, self._node_id))

    def _progress(self, done: float, total: float, unit: str) -> None:
        self._send(frames.Progress(done, total, unit))

    def _send(self, frame: frames.FromWorker, fds: list[int] | None = None) -> None:
        payload = frames.encode(frame)
        with self._sending:  # the app's own threads may print
            self._channel.send(payload, fds or ())


def _content(frame: frames.Content, fds: list[int]) -> ReceivedContent:
    if frame.data is not None:
        return ReceivedContent(frame.data)
    return ReceivedContent(shared_memory.readable(fds[0], frame.size), fds[0])


def _message(unit: frames.Unit, index: int, node_id: int, content: RecordDict, run_id: int) -> Message:
    metadata = Metadata(
        unit.message_type,
        node_id,
        unit.ttl,
        unit.created_at,
        run_id=run_id,
        message_id=f"{unit.exchange}-{index}",
        group_id=unit.group_id,
    )
    return Message.from_parts(metadata, content)


def _write(file: str, parts: list[Part]) -> None:
    """Write a reply to a new file. Raises StorageFull."""
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        shared_memory.append(fd, parts)
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise StorageFull(f"No disk space left for the reply {file}.", hint="Free some space.") from error
    finally:
        shared_memory.close(fd)


def _unsendable(index: int, node_id: int, error: Exception) -> frames.PlainReply:
    return frames.PlainReply(index, node_id, error=(ErrorCode.MALFORMED_REPLY, f"The reply cannot be sent: {error}"))


def _plain(index: int, reply: Reply, schemas: list[Schema]) -> frames.PlainReply:
    return frames.PlainReply(
        index,
        reply.node_id,
        content=None if reply.content is None else to_plain(reply.content),
        error=None if reply.error is None else (reply.error.code, reply.error.reason),
        schema=None if reply.schema is None else schemas.index(reply.schema),
    )


def _end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the parent's end is closed
    os._exit(1)


def main() -> None:
    """Run a worker over the descriptors named on the command line."""
    channel_fd, lifeline, whereabouts_fd = (int(argument) for argument in sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    Worker(Channel(socket.socket(fileno=channel_fd)), SharedCursor(whereabouts_fd)).run()
    os._exit(0)  # nothing of the app's may hold up the end


if __name__ == "__main__":
    main()
