"""A run on real sites whose processes are killed completes, with the model of an undisturbed run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.federation import ROUNDS, VICTIMS, Chaos

SEEDS = range(int(os.environ.get("CHAOS_SEEDS", "1")))  # more of them with dev/chaos.sh
ALL = [*VICTIMS, "supernode", "superlink"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def federation(umbel_home: Path) -> Iterator[Chaos]:
    """A SuperLink with two SuperNodes."""
    running = Chaos(umbel_home)
    yield running
    running.end()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("loop", ["strategy", "own"])
@pytest.mark.parametrize("victims", [*([victim] for victim in VICTIMS), ALL], ids=[*VICTIMS, "all"])
def test_a_run_on_real_sites_is_never_lost(federation: Chaos, victims: list[str], loop: str, seed: int) -> None:
    """Killed at any moment and restarted: the run continues, no node trains a round twice, and the model is the same, bit for bit."""
    calm, _ = federation.run(seed, loop)
    run, killed = federation.run(seed, loop, victims)
    said = "\n".join([*killed, str(run.cause)])
    assert (calm.sub_status, run.status, run.sub_status, run.round) == ("completed", "finished", "completed", ROUNDS), (
        said
    )
    assert federation.model(run.run_id) == federation.model(calm.run_id), said
