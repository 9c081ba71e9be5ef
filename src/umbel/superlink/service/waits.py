"""For which sites a run waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from umbel.superlink.domain.sites import Exchange, Progress, Site, clause, sentence
from umbel.superlink.store import messages, nodes
from umbel.wire.api import SiteWait

_LISTED = 1000  # sites
ProgressOf = Callable[[int, str], Progress | None]  # of a node with a message


def exchange(connection: Connection, run_id: int, progress_of: ProgressOf) -> Exchange | None:
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
    found = exchange(connection, run_id, progress_of)
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
