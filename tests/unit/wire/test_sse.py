"""Reading Server-Sent Events."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.errors import TooLarge
from umbel.wire import stream
from umbel.wire.stream import parse_events

STREAM = (
    b': hello\n\nid: 1\ndata: {"a":1}\n\nid:2\r\ndata:x\r\ndata: y\r\n\r\n: beat\n\nevent: z\nid: 3\n\nid: 4\ndata: cut'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_do_not_depend_on_where_the_stream_is_cut(places: list[int]) -> None:
    """Comments, several data lines, both line ends, an event without data and one cut off: the same for every cut."""
    places = sorted({0, *places, len(STREAM)})
    blocks = [STREAM[a:b] for a, b in itertools.pairwise(places)]
    assert list(parse_events(blocks)) == [("1", b'{"a":1}'), ("2", b"x\ny")]


@pytest.mark.parametrize("block", [b"data: xxxxxxx", b"data: xxxx\n"])
def test_an_event_has_a_limit(monkeypatch: pytest.MonkeyPatch, block: bytes) -> None:
    """A line or an event that does not end is refused before it fills the memory."""
    monkeypatch.setattr(stream, "MAX_EVENT", 100)
    with pytest.raises(TooLarge):
        list(parse_events([block] * 1000))
