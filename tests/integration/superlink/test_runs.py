"""Runs from start to end over the API."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.superlink.served import EXECUTOR, Served, serve_in, until
from tests.support.apps import write_app
from umbel.bundle import build_fab
from umbel.superlink.domain import run as run_domain
from umbel.superlink.domain import task as task_domain
from umbel.superlink.store import items, tasks
from umbel.wire.api import (
    Artifact,
    ArtifactList,
    Cause,
    ClaimTask,
    Directive,
    Event,
    FinishTask,
    LogLine,
    LogPage,
    MetricPage,
    MetricPoint,
    Report,
    RunList,
    StartRun,
    TaskExited,
)


async def test_a_run_goes_through_all_its_states(served: Served) -> None:
    """A run is pending, starting, running and finished as its task is created, claimed, active and finished."""
    run = await served.start(run_config={"train.lr": 0.5}, seed=7)
    assert (run.status, run.attempts, run.run_config) == ("pending", 0, {"rounds": 3, "train.lr": 0.5})
    task = await served.claim()
    assert (await served.run(run.run_id)).status == "starting"
    given = await served.input(task)
    assert (given.attempt, given.run.seed, given.run.status, given.checkpoint) == (1, 7, "running", None)
    await served.finish(task, FinishTask(outcome="completed"))
    end = await served.run(run.run_id)
    assert (end.status, end.sub_status, end.cause, end.waiting_for) == ("finished", "completed", None, None)
    assert end.pending_at <= (end.starting_at or 0) <= (end.running_at or 0) <= (end.finished_at or 0)


async def test_a_request_id_starts_one_run(served: Served) -> None:
    """The same request again returns the run that it started."""
    first, again = [await served.start(request_id="same") for _ in range(2)]
    assert first.run_id == again.run_id
    assert len((await served.ask(RunList, "GET", "/api/v1/runs")).runs) == 1


async def test_runs_are_listed_newest_first(served: Served) -> None:
    """The list begins with the newest run and has no more than the limit."""
    ids = [(await served.start()).run_id for _ in range(3)]
    listed = await served.ask(RunList, "GET", "/api/v1/runs?limit=2")
    assert [run.run_id for run in listed.runs] == [ids[2], ids[1]]


async def test_a_claim_waits_for_a_run(served: Served) -> None:
    """A long-poll for work is answered as soon as a run is there, and is empty when its time is over."""
    body = ClaimTask(executor="exec", kinds=["simulation"])
    assert (await served.request("POST", "/api/runtime/tasks/claim", body, EXECUTOR)).status_code == 204
    waiting = asyncio.create_task(served.request("POST", "/api/runtime/tasks/claim?wait=20", body, EXECUTOR))
    run = await served.start()
    assert (await waiting).json()["run_id"] == run.run_id


async def test_a_claim_of_a_client_that_went_away_takes_no_task(served: Served) -> None:
    """A SuperExec that dies in its long-poll is not handed the next task."""
    body = ClaimTask(executor="dead", kinds=["simulation"])
    waiting = asyncio.create_task(served.request("POST", "/api/runtime/tasks/claim?wait=20", body, EXECUTOR))
    await until(lambda: served.link.executors._parked.get("dead"))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await until(lambda: not served.link.executors._parked["dead"])
    run = await served.start()
    assert (await served.claim()).run_id == run.run_id


@pytest.mark.parametrize("state", ["created", "claimed", "active", "finished"])
async def test_a_run_stops_in_every_state(served: Served, state: str) -> None:
    """A stop finishes a run at once whatever its state; one that has finished stays as it is."""
    run = await served.start()
    if state != "created":
        task = await served.claim()
    if state in ("active", "finished"):
        await served.input(task)
    if state == "finished":
        await served.finish(task, FinishTask(outcome="completed"))
    stopped = await served.stop(run.run_id)
    wanted = "completed" if state == "finished" else "stopped"
    assert (stopped.status, stopped.sub_status) == ("finished", wanted)
    assert (await served.stop(run.run_id)).sub_status == wanted
    if state != "finished":
        assert stopped.cause is not None
        assert stopped.cause.code == "run-stopped"


async def test_a_stop_reaches_the_process(served: Served) -> None:
    """The heartbeat that waits is answered with `stop`; what the process still says changes no status."""
    run = await served.start()
    task = await served.begin()
    path = f"/api/runtime/tasks/{task.task_id}/directive"
    assert await served.ask(Directive, "GET", f"{path}?wait=0", token=task.token) == Directive()
    waiting = asyncio.create_task(served.ask(Directive, "GET", f"{path}?wait=20", token=task.token))
    await served.stop(run.run_id)
    assert await waiting == Directive(stop=True, over=True)
    await served.report(task, Report(seq=1, logs=[LogLine(text="last words")], events=[round_finished(1)]))
    await served.finish(task, FinishTask(outcome="failed", cause=Cause(code="app-error", message="late")))
    await served.exited(task, TaskExited(returncode=-9))
    end = await served.run(run.run_id)
    assert (end.sub_status, end.round) == ("stopped", 0)
    page = await served.ask(LogPage, "GET", f"/api/v1/runs/{run.run_id}/logs")
    assert [line.text for line in page.lines] == ["last words"]


async def test_a_killed_process_is_started_again_three_times_in_all(served: Served) -> None:
    """A process killed by a signal gets a new attempt; the third loss fails the run with the tail of its log."""
    run = await served.start()
    for attempt in (1, 2, 3):
        task = await served.begin()
        assert (task.attempt, (await served.run(run.run_id)).attempts) == (attempt, attempt)
        await served.exited(task, TaskExited(returncode=-9, attempt=attempt, log_tail=["out of", "memory"]))
    end = await served.run(run.run_id)
    assert (end.status, end.sub_status, end.attempts) == ("finished", "failed", 3)
    assert end.cause is not None
    assert (end.cause.code, end.cause.log_tail) == ("run-failed", ["out of", "memory"])
    assert "SIGKILL" in end.cause.message


async def test_a_process_that_ends_without_a_word_fails_the_run(served: Served) -> None:
    """An exit code without a `finish` fails the run; after a `finish` it means nothing."""
    run = await served.start()
    task = await served.begin()
    await served.exited(task, TaskExited(returncode=3, log_tail=["oops"]))
    end = await served.run(run.run_id)
    assert end.cause is not None
    assert (end.sub_status, end.cause.log_tail, end.attempts) == ("failed", ["oops"], 1)
    assert "code 3" in end.cause.message


async def test_the_exit_of_an_earlier_attempt_changes_nothing(served: Served) -> None:
    """News of the first process that come after the second has begun are not taken for the second's."""
    run = await served.start()
    first = await served.begin()
    await served.exited(first, TaskExited(returncode=-9, attempt=1))
    await served.begin()
    await served.exited(first, TaskExited(returncode=-9, attempt=1))
    assert ((await served.run(run.run_id)).status, (await served.run(run.run_id)).attempts) == ("running", 2)


async def test_a_report_is_taken_once(served: Served) -> None:
    """A repeated report changes nothing; totals, rounds and metrics arrive where they belong."""
    run = await served.start()
    task = await served.begin()
    report = Report(
        seq=1,
        events=[Event(kind="round-started", data={"round": 1, "num_rounds": 3}), round_finished(1)],
        metrics=[MetricPoint(key="loss", value=0.5, round=1, phase="train"), nan_point(1)],
        bytes_sent=10,
        bytes_recv=20,
        clientapp_seconds=1.5,
    )
    await served.report(task, report)
    await served.report(task, report)
    seen = await served.run(run.run_id)
    assert (seen.round, seen.num_rounds, seen.bytes_sent, seen.bytes_recv, seen.clientapp_seconds) == (
        1,
        3,
        10,
        20,
        1.5,
    )
    page = await served.ask(MetricPage, "GET", f"/api/v1/runs/{run.run_id}/metrics")
    assert [(point.key, point.value) for point in page.points] == [("loss", 0.5), ("diverged", None)]


async def test_a_new_attempt_adds_to_the_totals_and_repeats_no_metric(served: Served) -> None:
    """Totals count all attempts; a point that the lost attempt has stored is not stored again."""
    run = await served.start()
    first = await served.begin()
    point = MetricPoint(key="loss", value=0.5, round=1, phase="train")
    await served.report(first, Report(seq=1, metrics=[point], bytes_sent=10))
    await served.exited(first, TaskExited(returncode=-9))
    second = await served.begin()
    next_point = MetricPoint(key="loss", value=0.4, round=2, phase="train")
    await served.report(second, Report(seq=1, metrics=[point, next_point], bytes_sent=7))
    page = await served.ask(MetricPage, "GET", f"/api/v1/runs/{run.run_id}/metrics")
    assert [(point.round, point.value) for point in page.points] == [(1, 0.5), (2, 0.4)]
    assert (await served.run(run.run_id)).bytes_sent == 17


async def test_only_the_newest_checkpoint_is_kept(served: Served) -> None:
    """A new checkpoint replaces the object of the one before, unless another artifact has the same bytes."""
    run = await served.start()
    task = await served.begin()
    digests = [await served.put(data, task.token) for data in (b"one", b"two", b"three")]
    named = ["checkpoint", "model", "checkpoint", "checkpoint"]
    for seq, (name, digest) in enumerate(zip(named, [digests[0], digests[1], digests[1], digests[2]], strict=True), 1):
        await served.report(task, Report(seq=seq, artifacts=[Artifact(name=name, digest=digest, size=0)]))
    assert [served.link.objects.has(digest) for digest in digests] == [False, True, True]
    found = await served.ask(ArtifactList, "GET", f"/api/v1/runs/{run.run_id}/artifacts")
    assert [(artifact.name, artifact.size) for artifact in found.artifacts] == [("checkpoint", 5), ("model", 3)]
    await served.exited(task, TaskExited(returncode=-9))
    again = await served.input(await served.claim())
    assert again.checkpoint is not None
    assert again.checkpoint.digest == digests[2]


async def test_the_end_of_a_run_drops_what_it_did_not_name(served: Served) -> None:
    """An object that a process put and never reported is removed with the end of its run."""
    await served.start()
    task = await served.begin()
    digest = await served.put(b"never reported", task.token)
    assert served.link.objects.has(digest)
    await served.finish(task, FinishTask(outcome="completed"))
    assert not served.link.objects.has(digest)
    response = await served.request("PUT", f"/api/objects/{digest}", b"never reported", task.token)
    assert response.status_code == 409


async def test_the_events_fold_to_the_states(served: Served) -> None:
    """The transition events of a run and of its task end where the columns of the present state are."""
    run = await served.start()
    for code in (-9, -15):
        await served.exited(await served.begin(), TaskExited(returncode=code))
    await served.begin()
    await served.stop(run.run_id)
    row = await served.link.db.aread(lambda connection: tasks.of_run(connection, run.run_id))
    statuses = await served.link.db.aread(lambda connection: items.events(connection, run.run_id, "status"))
    states = await served.link.db.aread(lambda connection: items.events(connection, run.run_id, "task"))
    assert run_domain.fold(statuses) == ("finished", "stopped")
    assert [data["status"] for data in statuses] == ["pending", "starting", "running", "finished"]
    assert task_domain.fold(states) == (row.state, row.attempt) == ("finished", 3)


async def test_a_run_says_what_it_waits_for(served: Served) -> None:
    """`waiting_for` names the missing SuperExec, the run before, the launch and what the app waits for."""
    first = await served.start()
    assert first.waiting_for == "Waiting for a SuperExec to connect: none has asked for work yet."
    task = await served.claim()
    assert (
        await served.run(first.run_id)
    ).waiting_for == "Waiting for its process to start: a SuperExec is launching it."
    second = await served.start()
    assert second.waiting_for == f"Waiting in the queue: run {first.run_id} is running (1 of 1 slots)."
    await served.input(task)
    assert (await served.run(first.run_id)).waiting_for is None
    waits = {"for": "3 of 10 clients", "what": "round 2"}
    await served.report(task, Report(seq=1, events=[Event(kind="waiting", data=dict(waits))]))
    assert (await served.run(first.run_id)).waiting_for == "Waiting for 3 of 10 clients: round 2."
    await served.report(task, Report(seq=2, events=[Event(kind="waiting", data={"for": "", "what": ""})]))
    assert (await served.run(first.run_id)).waiting_for is None


async def test_federation_settings_are_stored_in_kebab_case(served: Served) -> None:
    """Settings of a simulation are accepted in both spellings."""
    run = await served.start(federation_config={"num_supernodes": 4, "client-resources-num-gpus": 0.5})
    assert run.federation_config == {"num-supernodes": 4, "client-resources-num-gpus": 0.5}


async def test_a_bundle_must_be_there(served: Served) -> None:
    """A run of a bundle that was never put is refused."""
    found = await served.refused("POST", "/api/v1/runs", StartRun(fab_hash="0" * 64))
    assert (found.status, found.code) == (404, "not-found")


def round_finished(number: int) -> Event:
    """A round ended."""
    return Event(kind="round-finished", data={"round": number, "num_rounds": 3, "seconds": 0.1})


def nan_point(number: int) -> MetricPoint:
    """A metric that is not a number any longer, as JSON carries it."""
    return MetricPoint(key="diverged", value=float("nan"), round=number, phase="train")


async def test_a_superlink_of_real_sites_makes_tasks_of_their_kind(tmp_path: Path) -> None:
    """A run there is for a ServerApp alone, has no settings of a simulation, and is refused when it is given some."""
    async with serve_in(tmp_path, kind="serverapp") as served:
        run = await served.start()
        assert (run.federation, run.federation_config) == ("default", {})
        task = await served.begin()
        assert (task.run_id, task.kind) == (run.run_id, "serverapp")
        fab_hash = await served.put(build_fab(write_app(tmp_path / "app")).data)
        simulated = StartRun(fab_hash=fab_hash, federation_config={"num-supernodes": 3})
        refused = await served.refused("POST", "/api/v1/runs", simulated)
        assert (refused.code, "num-supernodes" in refused.detail) == ("config-invalid", True)


async def test_the_federation_of_a_simulation_is_the_local_one(served: Served) -> None:
    """Unless the run names another."""
    assert (await served.start()).federation == "@local/default"
    assert (await served.start(federation="mine")).federation == "mine"
