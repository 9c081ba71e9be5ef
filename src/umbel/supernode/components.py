"""Construction of a SuperNode from its settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from umbel.supernode.cache import ContentCache
from umbel.supernode.jobs import Session
from umbel.supernode.replies import ReplySender, Spool
from umbel.supernode.reporter import Reporter
from umbel.supernode.resources import Budget, Slots
from umbel.supernode.runs import RunEnvironments, Runs
from umbel.supernode.serving import Serving
from umbel.supernode.workers import WorkerPool

if TYPE_CHECKING:
    from umbel.supernode.settings import Settings
    from umbel.supernode.state import StateDir
    from umbel.wire.programs import FleetClient


@dataclass(frozen=True)
class Components:
    """The collaborators of an agent."""

    session: Session
    reporter: Reporter
    runs: Runs
    environments: RunEnvironments
    slots: Slots
    pool: WorkerPool
    cache: ContentCache
    spool: Spool
    serving: Serving
    sender: ReplySender
    ending: Event = field(default_factory=Event)


def build(settings: Settings, state: StateDir, client: FleetClient) -> Components:
    """Create the components for one state directory. `client` must retry without limit: the data that it transfers is on disk."""
    session, ending = Session(), Event()
    budget = Budget(settings.slots, settings.cpus, settings.gpus)
    reporter = Reporter(client, session)
    runs, slots, spool = Runs(client, state, budget), Slots(budget), Spool(state.spool)
    pool = WorkerPool(state, settings.node_config, reporter.log)
    environments = RunEnvironments(reporter.log)
    cache = ContentCache(state.contents, settings.cache_bytes)
    serving = Serving(client, runs, environments, cache, slots, pool, spool, reporter, session)
    sender = ReplySender(client, spool, reporter, session, ending)
    return Components(session, reporter, runs, environments, slots, pool, cache, spool, serving, sender, ending)
