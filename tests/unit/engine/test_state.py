"""Client state on disk."""

from __future__ import annotations

from pathlib import Path

from umbel.app import ArrayRecord, MetricRecord, RecordDict
from umbel.engine.client_state import StateStore, unpack_state

NODE = 5


def state(number: int) -> RecordDict:
    """A state that tells its number."""
    return RecordDict({"m": MetricRecord({"n": number}), "a": ArrayRecord()})


def number(data: bytes) -> object:
    """The number that `state` put in; None for an empty state."""
    unpacked = unpack_state(data)
    return unpacked.metric_records["m"]["n"] if unpacked else None


def test_an_exchange_reads_what_the_last_one_before_it_left(tmp_path: Path) -> None:
    """Serving an exchange again begins from the state of the first time, not from what the first time left."""
    states = StateStore(tmp_path)
    assert number(states.load(NODE, 1)) is None
    states.save(NODE, 1, state(10), b"", keep_from=0)
    states.save(NODE, 4, state(40), states.load(NODE, 4), keep_from=0)
    assert [number(states.load(NODE, exchange)) for exchange in (1, 2, 4, 5, 9)] == [None, 10, 10, 40, 40]
    assert number(states.load(NODE + 1, 9)) is None


def test_only_what_may_be_read_again_is_kept(tmp_path: Path) -> None:
    """Of the states before the exchange that an attempt may continue from, the newest stays."""
    states = StateStore(tmp_path)
    for exchange in range(1, 7):
        states.save(NODE, exchange, state(exchange), states.load(NODE, exchange), keep_from=4 if exchange == 6 else 0)
    assert number(states.load(NODE, 5)) == 4
    assert number(states.load(NODE, 4)) is None
    states.save(NODE, 7, state(7), states.load(NODE, 7), keep_from=7)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["7"]


def test_a_client_without_state_costs_no_file(tmp_path: Path) -> None:
    """Nothing is written for an empty state, nor for one that did not change; an emptied one is."""
    states = StateStore(tmp_path)
    states.save(NODE, 1, RecordDict(), b"", keep_from=1)
    assert not list(tmp_path.iterdir())
    states.save(NODE, 1, state(1), b"", keep_from=1)
    states.save(NODE, 2, state(1), states.load(NODE, 2), keep_from=2)
    states.save(NODE, 3, RecordDict(), states.load(NODE, 3), keep_from=3)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["3"]
    assert number(states.load(NODE, 4)) is None
