"""A SuperNode serves messages."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.integration.supernode.conftest import APP, Gate, StartNode, model, values
from tests.support.fake_superlink import LIMIT, FakeSuperLink
from tests.support.http_peer import problem
from umbel.app import ConfigRecord, ErrorCode
from umbel.bundle import build_fab
from umbel.wire.messages import CHUNK


def test_a_message_is_answered(superlink: FakeSuperLink, start: StartNode) -> None:
    """The client sees its node's config and id, and what it prints is attributed to the run."""
    start("--name", "clinic-a", "--node-config", 'site="A" beds=3')
    message = superlink.send(model())
    content = superlink.content(message)
    assert content.array_records["arrays"]["0"].numpy().tolist() == [*range(1, 11)]
    assert dict(content.config_records["c"]) == {"site": "A", "beds": 3, "node": 1001}
    assert (superlink.activated[0].name, superlink.activated[0].slots) == ("clinic-a", 1)
    superlink.wait(lambda: any(run == 7 and text.startswith("trained at") for run, text in superlink.lines()))


def test_one_warm_worker_serves_a_run(superlink: FakeSuperLink, start: StartNode) -> None:
    """Messages one after another find the same process, and the state that earlier exchanges left."""
    start()
    seen = [superlink.metrics(superlink.send(model(), sequence=sequence)) for sequence in (1, 2, 3)]
    assert [one["rounds"] for one in seen] == [0, 1, 2]
    assert len({one["pid"] for one in seen}) == 1
    assert len({one["random"] for one in seen}) == 3


def test_large_contents_go_both_ways(superlink: FakeSuperLink, start: StartNode) -> None:
    """What does not fit into a message travels in chunks; a model that is here for training is not sent again for evaluation."""
    start()
    size = 5_000_000
    message = superlink.send(model(size))
    trained = superlink.content(message)
    assert np.array_equal(trained.array_records["arrays"]["0"].numpy(), values(size) + 1)
    del trained.config_records["c"], trained.metric_records["m"]
    total = superlink.metrics(superlink.send(trained, "evaluate"))
    before = superlink.bytes_out
    assert superlink.metrics(superlink.send(trained, "evaluate", sequence=2)) == total
    assert superlink.bytes_out == before
    trained["config"] = ConfigRecord({"other": "settings"})
    assert superlink.metrics(superlink.send(trained, "evaluate", sequence=3)) == total
    assert superlink.bytes_out - before <= CHUNK


def test_a_client_that_raises_is_answered_for(superlink: FakeSuperLink, start: StartNode) -> None:
    """The error has the client's own traceback; the worker continues."""
    start()
    error = superlink.reply(superlink.send(model(), "train.fail")).error
    assert error is not None
    assert error.code == ErrorCode.CLIENT_APP_RAISED_EXCEPTION
    assert str(error.reason).endswith("ValueError: no data here")
    assert superlink.metrics(superlink.send(model(), sequence=2))["rounds"] == 0


def test_a_client_that_is_killed_once_serves_again(superlink: FakeSuperLink, start: StartNode, gate: Gate) -> None:
    """A new process serves the message with what the first began with: no one could tell from the reply."""
    start()
    message = superlink.send(model(gate=gate))
    worker = gate.wait()
    os.kill(worker, signal.SIGKILL)
    assert gate.wait() != worker
    gate.open()
    assert superlink.metrics(message)["rounds"] == 0


def test_a_client_that_is_killed_again_is_answered_for_at_once(
    superlink: FakeSuperLink, start: StartNode, gate: Gate
) -> None:
    """The error says how the process ended; the next message finds a new process."""
    start()
    message = superlink.send(model(gate=gate))
    for _ in range(2):
        os.kill(gate.wait(), signal.SIGKILL)
    error = superlink.reply(message).error
    assert error is not None
    assert (error.code, "SIGKILL" in str(error.reason)) == (ErrorCode.CLIENT_APP_CRASHED, True)
    assert superlink.metrics(superlink.send(model(), sequence=2))["rounds"] == 0


def test_an_app_that_cannot_be_loaded_is_answered_for(
    superlink: FakeSuperLink, start: StartNode, tmp_path: Path
) -> None:
    """The error names the code and has the import's traceback."""
    shutil.copytree(APP, tmp_path / "app")
    (tmp_path / "app" / "clinic" / "client_app.py").write_text("import nowhere_to_be_found\napp = 1\n")
    run = superlink.add_run(build_fab(tmp_path / "app").data, 8)
    start()
    error = superlink.reply(superlink.send(model(), run_id=run)).error
    assert error is not None
    assert error.code == ErrorCode.LOAD_CLIENT_APP_EXCEPTION
    assert "No module named 'nowhere_to_be_found'" in str(error.reason)


@pytest.mark.parametrize("what", ["run", "bundle", "chunk"])
def test_what_the_superlink_lacks_is_answered_for(superlink: FakeSuperLink, start: StartNode, what: str) -> None:
    """A message that cannot be served for want of its run, its app or its content does not make the round wait."""
    message = superlink.send(model(2_000_000))
    if what == "run":
        missing = problem(404, "not-found", "There is no such run.")
        superlink.interfere = lambda call: missing if call.path == "/api/fleet/runs/7" else None
    else:
        fab = superlink.runs[7].fab_hash
        superlink.objects = {
            name: data for name, data in superlink.objects.items() if (name == fab) == (what == "chunk")
        }
    start()
    error = superlink.reply(message).error
    assert error is not None
    assert error.code == ErrorCode.MESSAGE_UNAVAILABLE


def test_messages_of_two_runs_are_served_at_a_time(superlink: FakeSuperLink, start: StartNode, gate: Gate) -> None:
    """With two slots a message of another run does not wait for the first."""
    superlink.add_run(build_fab(APP).data, 8)
    start("--slots", "2")
    held = superlink.send(model(gate=gate))
    gate.wait()
    quick = superlink.send(model(), run_id=8)
    assert superlink.metrics(quick)["rounds"] == 0
    assert superlink.sent[held].reply is None
    gate.open()
    superlink.reply(held)


def test_with_one_slot_messages_wait_their_turn(superlink: FakeSuperLink, start: StartNode, gate: Gate) -> None:
    """The second is taken, and served when the first is answered."""
    start()
    held = superlink.send(model(gate=gate))
    gate.wait()
    second = superlink.send(model(), sequence=2)
    superlink.wait(lambda: superlink.sent[second].leases)
    assert superlink.sent[second].reply is None
    gate.open()
    superlink.reply(held)
    assert superlink.metrics(second)["rounds"] == 1


def test_a_cancelled_message_ends_its_worker(superlink: FakeSuperLink, start: StartNode, gate: Gate) -> None:
    """At once, and without an answer; the next message is served."""
    node = start()
    message = superlink.send(model(gate=gate))
    worker = gate.wait()
    superlink.cancel(message)
    again = superlink.send(model(), sequence=2)
    assert superlink.metrics(again)["pid"] != worker
    assert worker not in {process.pid for process in node.workers()}
    assert superlink.sent[message].reply is None


def test_the_end_of_a_run_ends_its_workers(superlink: FakeSuperLink, start: StartNode, tmp_path: Path) -> None:
    """Also the idle ones, and what its clients keep is removed; a run that ended while the node was away likewise."""
    superlink.add_run(build_fab(APP).data, 8)
    node = start()
    for run in (7, 8):
        superlink.metrics(superlink.send(model(), run_id=run))
    first, second = sorted(node.workers(), key=lambda worker: worker.create_time())
    assert (tmp_path / "node" / "runs" / "7" / "state").is_dir()
    superlink.end_run(7)
    first.wait(LIMIT)
    assert second.is_running()
    superlink.wait(lambda: superlink.kept == [8])
    node.kill()
    superlink.end_run(8)
    start()
    superlink.wait(lambda: superlink.kept == [])
    assert list((tmp_path / "node" / "runs").iterdir()) == []


def test_the_app_says_how_far_it_is(superlink: FakeSuperLink, start: StartNode, gate: Gate) -> None:
    """What it says is passed on while it works."""
    start()
    message = superlink.send(model(gate=gate), "train.steps")
    gate.wait()
    superlink.wait(
        lambda: any(
            (one.message_id, one.stage, one.done, one.total, one.unit) == (message, "training", 3.0, 10.0, "steps")
            for report in superlink.reports
            for one in report.progress
        )
    )
    gate.open()
    assert superlink.reply(message).error is None
