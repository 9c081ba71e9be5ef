"""Kills processes of a run at moments that a seed chooses."""

from __future__ import annotations

import functools
import hashlib
import random
import threading
from collections.abc import Sequence

import psutil

from tests.support.simulation_runs import APP, LIMIT, family, start
from umbel.cli.local import connect_local
from umbel.simulation import run_simulation
from umbel.wire.api import Event, RunView
from umbel.wire.control import ControlClient

ROUNDS, CLIENTS = 6, 6
STAGES = ROUNDS + 2  # before the first round, each round, after the last
LONGEST_DELAY = 0.4  # seconds after a stage has begun; a little more than a round takes
LAST_DELAY = 0.1  # seconds after the last round, in which the model is stored


@functools.cache
def undisturbed(seed: int) -> str:
    """SHA-256 of the model of an undisturbed run."""
    result = run_simulation(APP, run_config={"num-server-rounds": ROUNDS}, seed=seed)
    return hashlib.sha256(result.artifacts["model.safetensors"]).hexdigest()


def disturbed(control: ControlClient, seed: int, victims: Sequence[str]) -> tuple[RunView, list[str]]:
    """Start a run and kill these, one after another; returns the run at its end, and what was killed when."""
    dice = random.Random(seed)
    pending = sorted((dice.randrange(STAGES), dice.random(), victim) for victim in victims)
    killed: list[str] = []
    run_id = start(control, seed=seed, num_server_rounds=ROUNDS, client_seconds=0.1)
    for item in control.stream(run_id, kinds=["event"]):
        assert item.event is not None
        if pending and stage(item.event) >= pending[0][0] and item.event.data.get("status") != "finished":
            at, moment, victim = pending[0]
            delay = moment * (LAST_DELAY if at == STAGES - 1 else LONGEST_DELAY)
            threading.Event().wait(delay)
            if kill(control, victim, dice):
                killed.append(f"{victim} {delay:.2f} s after {item.event.kind} {item.event.data}")
                pending.pop(0)
    return control.get_run(run_id), killed


def stage(event: Event) -> int:
    """How far a run is that tells this."""
    server_round = int(str(event.data.get("round", 0)))
    return server_round + (event.kind == "round-finished")


def kill(control: ControlClient, name: str, dice: random.Random) -> bool:
    """SIGKILL one process of this name; False when there is none now. A SuperLink is started again."""
    found = family(control)[name]
    if not found:
        return False
    victim = dice.choice(found)
    try:
        victim.kill()
    except psutil.NoSuchProcess:
        return False
    psutil.wait_procs([victim], timeout=LIMIT)
    if name == "superlink":
        connect_local().close()
    return True
