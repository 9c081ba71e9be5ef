"""Memory and the first round do not depend on how many clients are enrolled, nor on how many rounds there were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.simulation_runs import events, start, wait
from umbel.cli.local import connect_local
from umbel.wire.control import ControlClient

APP = Path(__file__).parent / "app"
ALLOWED = 1.05  # of what there was at round 10
FIRST_ROUND = 30.0  # seconds on a busy machine; a fraction of one on a quiet one

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def control(umbel_home: Path) -> Iterator[ControlClient]:
    """A client of the SuperLink of the test's home."""
    client = connect_local()
    yield client
    client.close()


def resident(control: ControlClient, run_id: int) -> dict[tuple[str, int], float]:
    """Resident bytes by process and round."""
    return {(p.key, p.round): p.value or 0.0 for p in control.metrics(run_id) if p.phase == "server"}


def test_memory_does_not_grow_with_rounds(control: ControlClient) -> None:
    """Ten thousand clients, a hundred of them in each of a hundred rounds: the last takes no more than the tenth."""
    run_id = start(control, APP)
    assert wait(control, run_id).sub_status == "completed"
    used = resident(control, run_id)
    for name in ("simulation", "workers"):
        assert used[name, 100] <= used[name, 10] * ALLOWED, name
    print({name: [round(used[name, number] / 2**20, 1) for number in (1, 10, 50, 100)] for name, _ in used})


def test_a_million_clients_cost_what_ten_thousand_cost(control: ControlClient) -> None:
    """The first round begins and ends as quickly, and takes no more memory."""
    begun, memory = [], []
    for enrolled in (10_000, 1_000_000):
        run_id = start(control, APP, federation={"num-supernodes": enrolled}, num_server_rounds=1)
        run = wait(control, run_id)
        assert run.sub_status == "completed"
        told = {event.kind: event.at for event in events(control, run_id)}
        begun.append((told["round-started"] - run.pending_at, told["round-finished"] - run.pending_at))
        memory.append(resident(control, run_id)["simulation", 1])
    print(begun, [round(size / 2**20, 1) for size in memory])
    assert begun[1][1] < FIRST_ROUND
    assert memory[1] <= memory[0] * ALLOWED
