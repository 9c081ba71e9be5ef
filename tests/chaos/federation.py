"""A federation whose processes may be killed; the test restarts what no other process restarts."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.chaos.killing import stage
from tests.support.federation import LIMIT, Federation
from umbel.bundle import build_fab
from umbel.wire.api import RunView

APP = Path(__file__).parent / "app"
NODES, ROUNDS = 2, 6
STAGES = ROUNDS + 2  # before the first round, each round, after the last
LONGEST_DELAY = 0.3  # seconds after a stage has begun; a little more than a round takes
VICTIMS = ("superlink", "superexec", "serverapp", "supernode", "worker")


class Chaos(Federation):
    """Runs the app of this folder."""

    def run(self, seed: int, loop: str, victims: Sequence[str] = ()) -> tuple[RunView, list[str]]:
        """A run, of which these processes are killed on the way, one after another; the run at its end, and what was killed when."""
        dice = random.Random(seed)
        pending = sorted((dice.randrange(STAGES), dice.random(), victim) for victim in victims)
        killed: list[str] = []
        run_id = self.start(build_fab(APP).data, {"loop": loop, "rounds": ROUNDS, "nodes": NODES}, seed)
        for item in self.control.stream(run_id, kinds=["event"]):
            assert item.event is not None
            if pending and stage(item.event) >= pending[0][0] and item.event.data.get("status") != "finished":
                _, moment, victim = pending[0]
                delay = moment * LONGEST_DELAY
                threading.Event().wait(delay)
                if self.kill(victim, dice):
                    killed.append(f"{victim} {delay:.2f} s after {item.event.kind} {item.event.data}")
                    pending.pop(0)
        return self.control.get_run(run_id), killed

    def kill(self, name: str, dice: random.Random) -> bool:
        """SIGKILL one process of this name; False when there is none now."""
        if name == "superlink":
            self.superlink.kill()
            self.superlink.wait(LIMIT)
            self.superlink = self.start_superlink()
        elif name == "supernode":
            index = dice.randrange(NODES)
            self.nodes[index].process.kill()
            self.nodes[index].wait()
            self.nodes[index] = self.start_node(index, NODES)
        else:
            found = self.processes(name)
            if not found:
                return False
            victim = dice.choice(found)
            victim.kill()
            psutil.wait_procs([victim], timeout=LIMIT)
        return True
