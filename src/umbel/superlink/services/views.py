"""Views of runs and sites as the API shows them, with their waiting reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row

from umbel.errors import PermissionRefused
from umbel.superlink.auth.tokens import Principal
from umbel.superlink.domain import task as task_domain
from umbel.superlink.domain.waiting import AppWait, Exchange, Progress, Queue, Site, clause, sentence, waiting_for
from umbel.superlink.services.task_lifecycle import own_task
from umbel.superlink.store import contents, messages, nodes, runs, tasks
from umbel.superlink.waiting.live_progress import Executors
from umbel.wire.api import BundleInfo, Cause, Config, RunView, SiteWait
from umbel.wire.messages import ContentRef, Journal, NodeList, NodeRun, Replies, ReplyError, ReplyView

_LISTED = 1000  # sites
ProgressOf = Callable[[int, str], Progress | None]  # of a node with a message


def current_exchange(connection: Connection, run_id: int, progress_of: ProgressOf) -> Exchange | None:
    """The messages of a run that have no reply; None when there are none."""
    rows = messages.unfinished(connection, run_id)
    if not rows:
        return None
    known = nodes.among(connection, {row.node_id for row in rows})
    missing = []
    for row in rows:
        if (node := known.get(row.node_id)) is None:
            continue
        fetched = row.state == "leased"
        site = Site(
            node_id=row.node_id,
            name=node.name,
            state=node.state,
            state_at=node.state_at,
            has_message=fetched,
            since=row.leased_at if fetched else row.queued_at,
            message_type=row.message_type,
            progress=progress_of(row.node_id, row.message_id) if fetched else None,
        )
        missing.append(site)
    newest = rows[-1]
    asked = sum(messages.count(connection, run_id, sequence) for sequence in {row.sequence for row in rows})
    return Exchange(asked, tuple(missing), newest.group_id, newest.message_type, newest.until)


def told(connection: Connection, run_id: int, progress_of: ProgressOf) -> str:
    """The sentence about the sites for which a run waits; empty when it waits for none."""
    found = current_exchange(connection, run_id, progress_of)
    return sentence(found, clock_time) if found is not None and found.missing else ""


def clock_time(at: float) -> str:
    """A time of this machine's clock, to be read by a person."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def listed(found: Exchange, clock: Callable[[float], str]) -> list[SiteWait]:
    """The sites one by one."""
    return [_listed(site, clock) for site in found.missing[:_LISTED]]


def _listed(site: Site, clock: Callable[[float], str]) -> SiteWait:
    progress = site.progress or Progress("", site.since)
    return SiteWait(
        node_id=site.node_id,
        name=site.name,
        state="offline" if site.state == "removed" else site.state,
        what=clause(site, clock),
        since=site.since,
        fetched=site.has_message,
        stage=progress.stage,
        done=progress.done,
        total=progress.total,
        unit=progress.unit,
        rate=progress.rate,
    )


_PAGE = 500  # replies in one answer
_PAGE_BYTES = 8_000_000  # of contents inside one answer


def run_of(connection: Connection, who: Principal) -> int:
    """The run of a task."""
    return int(own_task(connection, who).run_id)


def online(connection: Connection, who: Principal) -> NodeList:
    """The nodes that are online, ascending."""
    own_task(connection, who)
    return NodeList(node_ids=nodes.online(connection))


def replies(connection: Connection, who: Principal, after: int) -> Replies:
    """The replies of the run after a number: as many as fit into an answer."""
    run_id = run_of(connection, who)
    rows = messages.replies(connection, run_id, after, _PAGE)
    rows = rows[: _fitting(connection, run_id, rows)]
    loaded = contents.load(connection, {(run_id, row.reply_id) for row in rows if row.reply_id is not None})
    return Replies(replies=[_reply(row, loaded) for row in rows])


def journalled(connection: Connection, who: Principal, after: int) -> Journal:
    """What the calls of the run after one have found out, and how far the run has sent messages."""
    run_id = run_of(connection, who)
    return Journal(entries=messages.after(connection, run_id, after), sequence=messages.newest(connection, run_id))


def run_for_node(connection: Connection, node_id: int, run_id: int) -> NodeRun:
    """What a node needs to serve a run. Raises PermissionRefused for a run in which it does not take part."""
    if not messages.runs_of(connection, node_id, [run_id]):
        raise PermissionRefused(f"The node does not take part in run {run_id}.")
    row = runs.get(connection, run_id)
    return NodeRun(
        run_id=run_id,
        fab_id=row.fab_id,
        fab_version=row.fab_version,
        fab_hash=row.fab_hash,
        run_config=msgspec.json.decode(row.run_config, type=Config),
        seed=row.seed,
        federation=row.federation,
    )


def _fitting(connection: Connection, run_id: int, rows: list[Row[Any]]) -> int:
    """How many of the rows go into one answer: one at least."""
    sizes = contents.sizes(connection, run_id, {row.reply_id for row in rows if row.reply_id is not None})
    total = 0
    for count, row in enumerate(rows):
        size, inline = sizes.get(row.reply_id, (0, False))
        total += size if inline else 0
        if total > _PAGE_BYTES and count:
            return count
    return len(rows)


def _reply(row: Row[Any], loaded: Mapping[tuple[int, str], ContentRef]) -> ReplyView:
    return ReplyView(
        number=row.number,
        message_id=row.message_id,
        node_id=row.node_id,
        sequence=row.sequence,
        index=row.place,
        error=None if row.error_code is None else ReplyError(code=row.error_code, reason=row.error_reason),
        content=None if row.reply_id is None else loaded[row.run_id, row.reply_id],
        created_at=row.finished_at,
    )


class ViewContext(NamedTuple):
    """What a view shows beside the database. `full_since` is when that has run out of room."""

    executors: Executors
    now: float
    full_since: float | None
    progress_of: ProgressOf


def get(connection: Connection, run_id: int, moment: ViewContext) -> RunView:
    """One run, with the sites for which it waits. Raises NotFound."""
    row = runs.get(connection, run_id)
    return _views(connection, [row], moment, sites=True)[0]


def newest(connection: Connection, limit: int, moment: ViewContext) -> list[RunView]:
    """The newest runs, newest first."""
    return _views(connection, runs.newest(connection, limit), moment, sites=False)


def _views(connection: Connection, rows: Sequence[Row[Any]], moment: ViewContext, *, sites: bool) -> list[RunView]:
    waiting = any(row.status != "finished" for row in rows)
    unfinished = tasks.unfinished(connection) if waiting else []
    views = []
    for row in rows:
        task = tasks.of_run(connection, row.run_id)
        running = row.status == "running"
        exchange = current_exchange(connection, row.run_id, moment.progress_of) if running else None
        view = _view(row, task, _queue(task, unfinished, moment.executors, moment.now), moment, exchange)
        if sites and exchange is not None:
            view.sites = listed(exchange, clock_time)
        views.append(view)
    return views


def _view(row: Row[Any], task: Row[Any], queue: Queue, moment: ViewContext, exchange: Exchange | None) -> RunView:
    state = tasks.to_domain(task)
    app = msgspec.json.decode(row.waiting, type=AppWait, strict=False) if row.waiting else None
    serving = moment.now - task.active_at if task.active_at is not None else 0.0
    return RunView(
        run_id=row.run_id,
        bundle=BundleInfo(fab_id=row.fab_id, fab_version=row.fab_version, fab_hash=row.fab_hash, size=row.fab_size),
        federation=row.federation,
        status=row.status,
        sub_status=row.sub_status,
        cause=msgspec.json.decode(row.cause, type=Cause) if row.cause else None,
        waiting_for=waiting_for(row.status, state, queue, app, clock_time, moment.full_since, exchange),
        run_config=msgspec.json.decode(row.run_config, type=Config),
        federation_config=msgspec.json.decode(row.federation_config, type=Config),
        attempts=task_domain.started_attempts(state),
        serverapp_seconds=row.serverapp_seconds + max(0.0, serving),
        **{name: getattr(row, name) for name in _PLAIN},
    )


_PLAIN = (
    "seed", "round", "num_rounds", "pending_at", "starting_at", "running_at", "finished_at",
    "bytes_sent", "bytes_recv", "clientapp_seconds",
)  # fmt: skip


def _queue(task: Row[Any], unfinished: list[Row[Any]], executors: Executors, now: float) -> Queue:
    like = [row for row in unfinished if row.kind == task.kind]
    running = [row for row in like if row.state != "created"]
    created = [row.task_id for row in like if row.state == "created"]
    return Queue(
        running=tuple(row.run_id for row in running),
        ahead=created.index(task.task_id) if task.task_id in created else 0,
        slots=executors.slots(task.kind, {row.executor for row in running}, now),
        last_asked=executors.last_asked,
    )
