"""The contents of an exchange's messages, packed once for all workers."""

from __future__ import annotations

from collections.abc import Iterator

from umbel.engine import frames, segment
from umbel.engine.content import MAPPED_FROM
from umbel.engine.exchange import Exchange
from umbel.wire.records import pack


class Outbox:
    """Numbers the contents of one exchange and gives each as a frame, with shared memory when it is large."""

    def __init__(self, exchange: Exchange, first_id: int) -> None:
        """Pack the contents; their ids count from `first_id`."""
        contents, self._which = exchange.contents()
        self._first_id = first_id
        self._frames: list[tuple[frames.Content, tuple[int, ...]]] = []
        for content_id, content in enumerate(contents, first_id):
            parts = pack(content)
            if sum(len(part) for part in parts) < MAPPED_FROM:
                self._frames.append((frames.Content(content_id, b"".join(parts)), ()))
            else:
                fd, size = segment.write(parts)
                self._frames.append((frames.Content(content_id, size=size), (fd,)))

    def ids(self, start: int, stop: int) -> list[int]:
        """The ids of the contents of messages start … stop - 1: a single one if they share it."""
        if len(self._frames) == 1:
            return [self._first_id]
        return [self._first_id + place for place in self._which[start:stop]]

    def all_ids(self) -> set[int]:
        """The ids of all contents."""
        return set(range(self._first_id, self._first_id + len(self._frames)))

    def frames(self, content_ids: list[int]) -> Iterator[tuple[frames.Content, tuple[int, ...]]]:
        """The frames, with their descriptors, that bring these contents to a worker."""
        return (self._frames[content_id - self._first_id] for content_id in content_ids)

    def close(self) -> None:
        """Nobody needs the contents any more."""
        for _, fds in self._frames:
            for fd in fds:
                segment.close(fd)
        self._frames.clear()
