"""Carry the steps of messages out: new states, numbers of replies, holds that end and whom to wake, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row

from umbel.superlink.domain.message import (
    UNFINISHED,
    Cancel,
    Expire,
    Fail,
    Message,
    MessageEvent,
    Push,
    Return,
    Step,
    step,
)
from umbel.superlink.store import messages, references
from umbel.superlink.store.database import Transaction
from umbel.superlink.wakeups import node_topic, replies_topic

_NONE: Mapping[str, Any] = {}
_FOR_THE_NODE = (Cancel, Expire, Fail, Push, Return)  # what its node has to hear of


class Move(NamedTuple):
    """An event of the message in `row`; `values` are columns of the reply that it brings."""

    row: Row[Any]
    event: MessageEvent
    values: Mapping[str, Any] = _NONE


def move(transaction: Transaction, moves: Sequence[Move], now: float) -> list[Step]:
    """Let events happen to messages, in this order; each one's step. A message may come more than once."""
    at: dict[str, Message] = {}
    steps: list[Step] = []
    changed: dict[str, dict[str, Any]] = {}
    numbered: dict[int, list[Move]] = defaultdict(list)
    for one in moves:
        before = at.get(one.row.message_id) or messages.to_domain(one.row)
        done = step(before, one.event)
        steps.append(done)
        if done.message == before:
            continue
        at[one.row.message_id] = done.message
        changed.setdefault(one.row.message_id, {}).update(_columns(done.message, now))
        if done.number:
            numbered[one.row.run_id].append(one)
        if isinstance(one.event, _FOR_THE_NODE):
            transaction.topics.add(node_topic(one.row.node_id))
    _number(transaction, numbered, changed)
    messages.change(transaction, changed.items())
    references.release_messages(transaction, [name for name, message in at.items() if message.state not in UNFINISHED])
    return steps


def _number(transaction: Transaction, numbered: Mapping[int, list[Move]], changed: dict[str, dict[str, Any]]) -> None:
    for run_id, moves in sorted(numbered.items()):
        seconds = sum(one.values.get("seconds", 0.0) for one in moves)
        first = messages.next_number(transaction, run_id, len(moves), seconds)
        for number, one in enumerate(moves, first):
            changed[one.row.message_id] |= {**one.values, "number": number}
        transaction.topics.add(replies_topic(run_id))


def _columns(message: Message, now: float) -> dict[str, Any]:
    time = {"queued": "queued_at", "leased": "leased_at"}.get(message.state, "finished_at")
    return {"state": message.state, "session": message.session, "leases": message.leases, time: now}
