"""`umbel run` against a scripted SuperLink: what it prints, how it ends, what signals do."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.acceptance.cli.conftest import Umbel
from tests.support.fake_control import FakeSuperLink, event
from umbel.wire.api import Cause, LogLine, StreamItem

ROUNDS = [
    event("round-started", round=1, num_rounds=2, phase="train", clients=3),
    event("progress", round=1, phase="train", done=2, total=3, failed=1),
    event("round-finished", round=1, num_rounds=2, seconds=0.5, train={"loss": 0.75}, clients=3, failed=1),
    StreamItem(cursor="", log=LogLine(text="hello from the app", level="INFO")),
    event("round-finished", round=2, num_rounds=2, seconds=0.5, train={"loss": 0.5}, evaluate={"acc": 0.9}, clients=3),
]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=30)
    return process.returncode, stdout, stderr


def test_a_run_is_shown_round_by_round_to_its_end(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """In a pipe: a header, a line for each round, log lines as they are, the final metrics, the way to the results."""
    fake.script = ROUNDS
    lines = umbel("run", app, "--seed", "7").stdout.splitlines()
    assert lines[0] == "Run 1000  @acme/tiny==1.0.0  seed 7"
    assert lines[1] == "round 1/2  3 clients  1 failed  0.5 s  train loss 0.75"
    assert lines[2] == "hello from the app"
    assert lines[3] == "round 2/2  3 clients  0.5 s  train loss 0.5, evaluate acc 0.9"
    assert lines[4].startswith("Run 1000 completed in 2.0 s")
    assert lines[-1] == "Get the model and the metrics:  umbel pull 1000"


def test_overrides_seed_and_federation_reach_the_superlink(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """-c, --federation-config, --federation and --seed are in the request."""
    umbel("run", app, "-c", "lr=0.5", "--federation-config", "num-supernodes=5", "--federation", "@me/x", "--seed", "3")
    (request,) = fake.requests
    assert request.run_config == {"lr": 0.5}
    assert request.federation_config == {"num-supernodes": 5}
    assert (request.federation, request.seed) == ("@me/x", 3)
    assert request.request_id


@pytest.mark.parametrize("option", ["--detach", "--no-stream"])
def test_a_detached_run_only_tells_its_id(umbel: Umbel, fake: FakeSuperLink, app: Path, option: str) -> None:
    """The command ends as soon as the SuperLink has taken the run."""
    fake.end_stream.clear()
    assert "Started run 1000" in umbel("run", app, option).stdout


def test_json_has_the_bundle_and_the_run(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """--format json answers at once with one object."""
    fake.end_stream.clear()
    payload = umbel.json("run", app)
    assert payload["success"] is True
    assert payload["run-id"] == 1000
    assert payload["fab-id"] == "acme/tiny"
    assert payload["fab-filename"] == f"acme.tiny.1-0-0.{payload['fab-hash'][:8]}.fab"


def test_json_with_stream_is_one_object_at_the_end(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """--format json --stream waits for the end; standard output is still one object, with the metrics."""
    fake.script = ROUNDS
    result = umbel("run", app, "--stream", "--format", "json")
    payload = json.loads(result.stdout)
    assert payload["status"] == "finished:completed"
    assert payload["metrics"] == {"train": {"loss": 0.5}, "evaluate": {"acc": 0.9}}
    assert "round 1/2" in result.stderr


def test_a_failed_run_explains_itself(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """The cause is a block with what, where, the app's frames, the log's end and what to do; the exit code is 20."""
    cause = Cause(
        code="app-error", message="The ClientApp raised ValueError: bad batch", hint="Fix client_app.py.",
        component="clientapp", node_id=17, round=2, exception="ValueError",
        traceback='Traceback (most recent call last):\n  File "/x/tiny/client_app.py", line 3, in train\n    fit()\n'
        "ValueError: bad batch\n",
        log_tail=["last words"],
    )  # fmt: skip
    fake.outcome = "failed"
    fake.end_stream.clear()
    process = umbel.start("run", app)
    assert fake.stream_sent.wait(20)
    fake.runs[1000] = msgspec.structs.replace(fake.runs[1000], cause=cause)
    fake.end_stream.set()
    code, _, stderr = ended(process)
    assert code == 20
    for part in ("bad batch", "clientapp, node 17, round 2", 'client_app.py", line 3', "last words", "Fix client"):
        assert part in stderr


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_run_streams_stops_it(
    umbel: Umbel, fake: FakeSuperLink, app: Path, signum: signal.Signals, code: int
) -> None:
    """Ctrl-C and SIGTERM stop the run, say so in one line and end with 128 + the signal."""
    fake.script = ROUNDS[:1]
    fake.end_stream.clear()
    process = umbel.start("run", app)
    assert fake.stream_sent.wait(20)
    process.send_signal(signum)
    returncode, _, stderr = ended(process)
    assert returncode == code
    assert stderr == "Run 1000 has been stopped.\n"
    assert fake.runs[1000].sub_status == "stopped"


def test_a_signal_before_the_start_is_answered_leaves_no_run_behind(
    umbel: Umbel, fake: FakeSuperLink, app: Path
) -> None:
    """Between the request and its answer the run may exist already: it is stopped as soon as its id is known."""
    fake.answer_start.clear()
    fake.end_stream.clear()
    process = umbel.start("run", app)
    assert fake.start_posted.wait(20)
    process.send_signal(signal.SIGINT)
    fake.answer_start.set()
    assert ended(process)[0] == 130
    assert [run.sub_status for run in fake.runs.values()] == ["stopped"]


def test_a_third_signal_leaves_a_superlink_that_does_not_answer(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """A person is never held by a SuperLink that hangs while it is asked to stop."""
    fake.end_stream.clear()
    fake.answer_stop.clear()
    process = umbel.start("run", app, stdout=subprocess.PIPE)
    assert fake.stream_sent.wait(20)
    process.send_signal(signal.SIGINT)
    assert fake.stop_posted.wait(20)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    while "has not confirmed the stop request" not in (line := process.stdout.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130


def test_a_signal_while_the_app_is_sent_starts_nothing(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """Before the request there is no run: the command ends at once."""
    fake.answer_put.clear()
    process = umbel.start("run", app)
    assert fake.put_posted.wait(20)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (143, "", "Interrupted before a run was started.\n")
    assert not fake.requests


def test_log_only_detaches(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """Ctrl-C in `umbel log` leaves the run alone."""
    umbel("run", app)
    run = fake.runs[1000]
    fake.runs[1000] = msgspec.structs.replace(run, status="running", sub_status=None)
    fake.script = [StreamItem(cursor="", log=LogLine(text="one", source="clientapp", node_id=5, round=2))]
    fake.stream_sent.clear()
    fake.end_stream.clear()
    process = umbel.start("log", "last")
    assert process.stdout is not None
    assert process.stdout.readline().endswith("clientapp node 5 r2 | one\n")
    process.send_signal(signal.SIGINT)
    code, _, stderr = ended(process)
    assert code == 130
    assert "continues" in stderr
    assert not fake.stop_posted.is_set()


def test_a_reader_that_leaves_does_not_stop_the_run(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """`umbel run | head -1`: the command ends silently, the run continues."""
    fake.end_stream.clear()
    process = umbel.start("run", app)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    fake.end_stream.set()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 1
    assert not fake.stop_posted.is_set()
