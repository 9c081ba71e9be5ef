"""What one SuperLink tells the others on its database, and how it fits into PostgreSQL's notifications."""

from __future__ import annotations

from typing import Any

import msgspec

# The kinds of notes, and their data.
HELLO = "hello"  # nothing
MOVED = "moved"  # the id of a node that polls the sender now
ASKED = "asked"  # a SuperExec that asked for work, the kinds of tasks, its slots
LIVE = "live"  # the id of a run and its newest `progress` events
WORK = "work"  # the id of a node and the progress of its messages
_LIMIT = 7_900  # bytes of a notification, of at most 8,000


class Note(msgspec.Struct, array_like=True):
    """Something that is live and not stored."""

    kind: str
    data: Any


class Notice(msgspec.Struct, array_like=True):
    """What a transaction has for other SuperLinks; its fields are those of a `Transaction`."""

    sender: int
    topics: list[str] = []
    released: list[int] = []
    finished: list[int] = []
    notes: list[Note] = []


def payloads(notice: Notice) -> list[str]:
    """The notice in as few parts as it takes; a single note that is too long is left out."""
    encoded = msgspec.json.encode(notice)
    if len(encoded) <= _LIMIT:
        return [encoded.decode()]
    fields = ("topics", "released", "finished", "notes")
    items = [(field, item) for field in fields for item in getattr(notice, field)]
    if len(items) == 1:
        return []
    middle = len(items) // 2
    return [payload for half in (items[:middle], items[middle:]) for payload in payloads(_part(notice.sender, half))]


def _part(sender: int, items: list[tuple[str, Any]]) -> Notice:
    part = Notice(sender, [], [], [], [])
    for field, item in items:
        getattr(part, field).append(item)
    return part
