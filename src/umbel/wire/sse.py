"""Server-Sent Events: bytes in, (cursor, data) pairs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_EVENT = 8 * 1024 * 1024  # bytes


def parse_events(blocks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The (id, data) of each event in a byte stream cut at any place; comments and other fields are skipped.

    An event that the stream's end cuts off is dropped, as the standard asks: the cursor brings it again.
    Raises TooLarge for an event over `MAX_EVENT` bytes.
    """
    cursor, data, size = "", [], 0
    for line in _lines(blocks):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        size += len(line)
        if size > MAX_EVENT:
            raise TooLarge(f"The SuperLink sent an event of more than {MAX_EVENT} bytes.")
        if field == b"id":
            cursor = value.decode()
        elif field == b"data":
            data.append(value)
        elif not line:
            if data:
                yield cursor, b"\n".join(data)
            data, size = [], 0


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > MAX_EVENT:
            raise TooLarge(f"The SuperLink sent a line of more than {MAX_EVENT} bytes.")
        for line in lines:
            yield line.removesuffix(b"\r")
