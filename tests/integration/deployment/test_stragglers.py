"""Rounds with a site that does not answer."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event as Pause

import pytest

from tests.support.sites import Sites, federation

DEADLINE = 2.0  # seconds


@pytest.mark.slow
def test_a_stopped_site_holds_a_round_up_to_its_deadline_and_no_longer(umbel_home: Path) -> None:
    """With a quorum of the others the round ends on its deadline, and the run says meanwhile whom it waits for. The site joins
    the next round when it continues.
    """
    with federation(umbel_home, nodes=3) as sites:
        run_id = sites.start_app(num_server_rounds=100, quorum=2, deadline=DEADLINE)
        stopped = sites.nodes[1].process
        is_stopped, held = False, 0  # the round that waited for the stopped site
        for item in sites.control.stream(run_id, kinds=["event"]):
            if item.event is None or item.event.kind != "round-finished":
                continue
            failed, number = item.event.data["failed"], int(str(item.event.data["round"]))
            if not is_stopped and not failed:  # a site may be late in the first round, when all begins
                is_stopped = True
                stopped.send_signal(signal.SIGSTOP)
                assert "1 of 3 sites" in waiting_sentence(sites, run_id, "site1")
            elif is_stopped and not held and failed:  # rounds that were over before the signal are told after it
                held = number
                assert DEADLINE <= float(str(item.event.data["seconds"])) < DEADLINE + 5
                stopped.send_signal(signal.SIGCONT)
            elif held and not failed:
                break
        assert held
        sites.wait(run_id)
        run = sites.control.get_run(run_id)
        assert (run.sub_status, run.cause) == ("completed", None)


def waiting_sentence(sites: Sites, run_id: int, name: str) -> str:
    """What the run says it waits for, once that names a site alone."""
    pause = Pause()
    for _ in range(1000):
        said = sites.control.get_run(run_id).waiting_for or ""
        if name in said and "1 of 3" in said:
            return said
        pause.wait(0.02)
    raise AssertionError(f"The run never said that it waits for {name}, but: {said}")
