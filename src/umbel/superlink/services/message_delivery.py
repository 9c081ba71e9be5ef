"""Delivery of messages to polling nodes, in batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace
from sqlalchemy import Connection, Row

from umbel.errors import NotFound, RequestInvalid, UmbelError
from umbel.superlink.domain.message import Adopt, Handout, Lease, Pending, hand_out, is_id
from umbel.superlink.domain.node import Node, check_session
from umbel.superlink.services.reply_intake import Move, move
from umbel.superlink.store import contents, messages, nodes, runs
from umbel.superlink.store.database import Transaction
from umbel.wire.messages import ContentRef, Delivery, Pull, Pulled

_MOST_HELD = 10_000
_MOST_AT_A_TIME = 100  # messages in one answer: their contents are inside


class Want(NamedTuple):
    """What a node's poll asks for."""

    node_id: int
    session: int
    room: int
    holding: frozenset[str] = frozenset()
    runs: frozenset[int] = frozenset()  # of which it keeps something
    woken: bool = False  # there is something for it: no look is needed


def check(node_id: int, said: Pull) -> Want:
    """A poll that can be served together with others. Raises RequestInvalid."""
    if len(said.holding) > _MOST_HELD or not all(map(is_id, said.holding)):
        raise RequestInvalid(f"Invalid list of held messages: at most {_MOST_HELD} valid message IDs.")
    if len(said.runs) > _MOST_HELD or not all(0 <= run_id < 2**63 for run_id in said.runs):
        raise RequestInvalid(f"Invalid list of runs: at most {_MOST_HELD} valid run IDs.")
    room = min(said.room, _MOST_AT_A_TIME)
    return Want(node_id, said.session, room, frozenset(said.holding), frozenset(said.runs))


def look(connection: Connection, wants: Sequence[Want]) -> list[Handout | UmbelError]:
    """What there is for each of some polls: nothing is leased yet. An error in the place of a poll that is refused."""
    return _plan(connection, wants, messages.pending_states(connection, {want.node_id for want in wants}))


def take(transaction: Transaction, wants: Sequence[Want], now: float) -> list[Pulled | UmbelError]:
    """Lease what there is to each of some polls. An error in the place of a poll that is refused."""
    connection = transaction.connection
    locked = messages.pending(connection, {want.node_id for want in wants}, for_update=True)
    rows = {row.message_id: row for of_node in locked.values() for row in of_node}
    pending = {
        node_id: [Pending(row.message_id, messages.to_domain(row)) for row in of_node]
        for node_id, of_node in locked.items()
    }
    plans = _plan(connection, wants, pending)
    moves = []
    for want, plan in zip(wants, plans, strict=True):
        if isinstance(plan, Handout):
            moves += [Move(rows[name], Adopt(want.session)) for name in plan.adopt]
            moves += [Move(rows[name], Lease(want.session)) for name in plan.deliver]
    move(transaction, moves, now)
    delivered = [rows[one] for plan in plans if isinstance(plan, Handout) for one in plan.deliver]
    loaded = contents.load(connection, {(row.run_id, row.content_id) for row in delivered})
    return [plan if isinstance(plan, UmbelError) else _pulled(plan, rows, loaded) for plan in plans]


def told(plan: Handout | UmbelError) -> Pulled | UmbelError | None:
    """What a poll gets that changes nothing; None where there is something to lease."""
    if isinstance(plan, UmbelError):
        return plan
    return None if plan.changes else _unleased(plan)


def share(found: Iterable[Pulled | UmbelError]) -> None:
    """Encode a content that goes to many nodes only once: afterwards it can be sent but no longer read."""
    encoded: dict[int, ContentRef] = {}
    for pulled in found:
        for delivery in pulled.messages if isinstance(pulled, Pulled) else ():
            content = delivery.content
            if id(content) not in encoded:
                encoded[id(content)] = cast("ContentRef", Raw(msgspec.json.encode(content)))
            delivery.content = encoded[id(content)]


def _unleased(plan: Handout) -> Pulled:
    return Pulled(cancelled=list(plan.finished), over=list(plan.over))


def _plan(
    connection: Connection, wants: Sequence[Want], pending: Mapping[int, Sequence[Pending]]
) -> list[Handout | UmbelError]:
    kept = {run_id for want in wants for run_id in want.runs}
    unfinished = runs.unfinished_among(connection, kept) if kept else set()
    registered = nodes.standing(connection, {want.node_id for want in wants})
    given: dict[int, set[str]] = defaultdict(set)  # to polls of the same node before this one
    plans: list[Handout | UmbelError] = []
    for want in wants:
        try:
            plan = _of_one(want, registered, pending, given[want.node_id])
        except UmbelError as error:
            plans.append(error)
        else:
            given[want.node_id] |= {*plan.deliver}
            plans.append(replace(plan, over=tuple(sorted(want.runs - unfinished))))
    return _without_answered(connection, plans)


def _of_one(
    want: Want, registered: Mapping[int, Node], pending: Mapping[int, Sequence[Pending]], given: set[str]
) -> Handout:
    node = registered.get(want.node_id)
    if node is None:
        raise NotFound(f"Node {want.node_id} does not exist.")
    check_session(node, want.session)
    mine = [one for one in pending.get(want.node_id, ()) if one.message_id not in given]
    return hand_out(mine, want.session, want.room, want.holding)


def _without_answered(connection: Connection, plans: Sequence[Handout | UmbelError]) -> list[Handout | UmbelError]:
    """The plans without what a node holds because it has not heard yet that its reply arrived."""
    asked = {name for plan in plans if isinstance(plan, Handout) for name in plan.finished}
    known = messages.states(connection, asked)
    answered = {name for name, state in known.items() if state == "replied"}
    return [_without(plan, answered) if isinstance(plan, Handout) and answered else plan for plan in plans]


def _without(plan: Handout, answered: Collection[str]) -> Handout:
    return replace(plan, finished=tuple(name for name in plan.finished if name not in answered))


def _pulled(plan: Handout, rows: Mapping[str, Row[Any]], loaded: Mapping[tuple[int, str], ContentRef]) -> Pulled:
    pulled = _unleased(plan)
    pulled.messages = [_delivery(rows[name], loaded) for name in plan.deliver]
    return pulled


def _delivery(row: Row[Any], loaded: Mapping[tuple[int, str], ContentRef]) -> Delivery:
    return Delivery(
        message_id=row.message_id,
        run_id=row.run_id,
        sequence=row.sequence,
        keep_from=row.keep_from,
        message_type=row.message_type,
        group_id=row.group_id,
        created_at=row.created_at,
        ttl=row.ttl,
        content=loaded[row.run_id, row.content_id],
    )
