"""Construction of a SuperNode from its settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from umbel.supernode.cache import ContentCache
from umbel.supernode.jobs import Presence
from umbel.supernode.replies import Sending, Spool
from umbel.supernode.reporter import Reporter
from umbel.supernode.resources import Budget, Slots
from umbel.supernode.runs import Runs, Surroundings
from umbel.supernode.serving import Serving
from umbel.supernode.workers import WorkerPool

if TYPE_CHECKING:
    from umbel.supernode.settings import Settings
    from umbel.supernode.state import StateDir
    from umbel.wire.programs import FleetClient


@dataclass(frozen=True)
class Parts:
    """What an agent works with."""

    presence: Presence
    reporter: Reporter
    runs: Runs
    surroundings: Surroundings
    slots: Slots
    pool: WorkerPool
    cache: ContentCache
    spool: Spool
    serving: Serving
    sending: Sending
    ending: Event = field(default_factory=Event)


def build(settings: Settings, state: StateDir, client: FleetClient) -> Parts:
    """The parts over one state directory. `client` has all the patience of the world: what it carries is on disk."""
    presence, ending = Presence(), Event()
    budget = Budget(settings.slots, settings.cpus, settings.gpus)
    reporter = Reporter(client, presence)
    runs, slots, spool = Runs(client, state, budget), Slots(budget), Spool(state.spool)
    pool = WorkerPool(state, settings.node_config, reporter.log)
    surroundings = Surroundings(reporter.log)
    cache = ContentCache(state.contents, settings.cache_bytes)
    serving = Serving(client, runs, surroundings, cache, slots, pool, spool, reporter, presence)
    sending = Sending(client, spool, reporter, presence, ending)
    return Parts(presence, reporter, runs, surroundings, slots, pool, cache, spool, serving, sending, ending)
