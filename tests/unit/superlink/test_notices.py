"""Notifications between SuperLinks."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from umbel.superlink.replicas import Note, Notice, payloads

LIMIT = 8000
ids = st.lists(st.integers(0, 2**53), unique=True, max_size=2000)
texts = st.lists(st.text(min_size=1, max_size=200), unique=True, max_size=100)


def parts(notice: Notice) -> list[Notice]:
    """The notice as it arrives."""
    sent = payloads(notice)
    assert all(len(payload.encode()) < LIMIT for payload in sent)
    return [msgspec.json.decode(payload, type=Notice) for payload in sent]


@given(topics=texts, released=ids, finished=ids)
def test_a_long_notice_comes_in_parts(topics: list[str], released: list[int], finished: list[int]) -> None:
    """However much a transaction says, all of it arrives, in notifications that PostgreSQL takes."""
    found = parts(Notice(7, topics, released, finished, [Note("moved", 1)]))
    assert {part.sender for part in found} == {7}
    assert [topic for part in found for topic in part.topics] == topics
    assert [task for part in found for task in part.released] == released
    assert [run for part in found for run in part.finished] == finished
    assert [note.data for part in found for note in part.notes] == [1]


def test_a_note_that_is_too_long_is_left_out() -> None:
    """What is live only may be lost; what is beside it is not."""
    found = parts(Notice(7, ["run:1"], [], [], [Note("live", "x" * 9000), Note("moved", 5)]))
    assert [note.data for part in found for note in part.notes] == [5]
    assert [topic for part in found for topic in part.topics] == ["run:1"]
