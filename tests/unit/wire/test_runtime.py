"""The Runtime client: what it asks for and what it makes of the answers."""

from __future__ import annotations

import json

from tests.support.http_peer import json_answer, ok, peer
from umbel.wire.api import ClaimedTask, FinishTask, LogLine, Report, TaskExited
from umbel.wire.programs import RuntimeClient

EMPTY = ok(status="204 No Content")


def test_a_claim_gives_a_task_or_nothing() -> None:
    """A claim is a long-poll: a task, or None for 204."""
    task = {"task_id": 1, "run_id": 2, "kind": "simulation", "attempt": 1, "token": "t"}
    with peer(EMPTY, json_answer(task)) as server:
        client = RuntimeClient(server.address, "")
        assert client.claim("me", ["simulation"], wait=0.5) is None
        expected = ClaimedTask(task_id=1, run_id=2, kind="simulation", attempt=1, token="t")
        assert client.claim("me", ["simulation"]) == expected
    assert [call.path for call in server.calls] == [f"/api/runtime/tasks/claim?wait={wait}" for wait in ("0.5", "30")]
    assert json.loads(server.calls[0].body) == {"executor": "me", "kinds": ["simulation"]}


def test_each_call_has_its_route() -> None:
    """The calls use the methods, paths and bodies of the API."""
    with peer(json_answer({"stop": True}), EMPTY) as server:
        client = RuntimeClient(server.address, "")
        assert client.directive(3, wait=0).stop
        client.report(3, Report(seq=1, logs=[LogLine(text="x")]))
        client.finish(3, FinishTask(outcome="completed"))
        client.exited(3, TaskExited(returncode=-9))
    assert [(call.method, call.path, call.body.decode()) for call in server.calls] == [
        ("GET", "/api/runtime/tasks/3/directive?wait=0", ""),
        ("POST", "/api/runtime/tasks/3/report", '{"seq":1,"logs":[{"text":"x"}]}'),
        ("POST", "/api/runtime/tasks/3/finish", '{"outcome":"completed"}'),
        ("POST", "/api/runtime/tasks/3/exited", '{"returncode":-9}'),
    ]
