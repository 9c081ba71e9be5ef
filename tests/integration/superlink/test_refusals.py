"""Every way in which the API says no."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.superlink.served import EXECUTOR, USER, Served, problem
from umbel.errors import all_errors
from umbel.wire.api import ClaimTask, Event, FinishTask, LogLine, LogPage, Report, StartRun, TaskExited

CLAIM = ClaimTask(executor="exec", kinds=["simulation"])


async def test_health_needs_no_token(served: Served) -> None:
    """Health, readiness and the documentation are open; all else is not."""
    for path in ("/health", "/ready", "/docs", "/openapi.json"):
        assert (await served.client.get(path)).status_code == 200
    for path in ("/api/v1/info", "/api/v1/runs", "/api/objects/" + "0" * 64, "/no/such/route"):
        found = problem(await served.client.get(path))
        assert (found.status, found.code) == (401, "unauthenticated")


WRONG_TOKENS = ["", "Bearer", "Bearer wrong", "Basic dXNlcg==", "Bearer 1.1.made-up", "Bearer ä.1.x"]


async def test_a_wrong_token_is_refused(served: Served) -> None:
    """A credential that is missing, malformed, wrong or made up is answered with 401."""
    for header in WRONG_TOKENS:
        headers = [(b"Authorization", header.encode())]
        response = await served.client.get("/api/runtime/tasks/1/input", headers=headers)
        assert problem(response).code == "unauthenticated"
        assert response.headers["www-authenticate"] == "Bearer"


async def test_a_foreign_host_is_refused(served: Served) -> None:
    """A page whose name was made to point here does not get an answer, not even with the token."""
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", ""):
        found = await served.refused("GET", "/api/v1/info", Host=host)
        assert (host, found.status, found.code) == (host, 403, "permission-refused")


async def test_the_names_of_this_machine_are_accepted(served: Served) -> None:
    """Loopback names, with or without a port, are answered."""
    for host in ("localhost", "127.0.0.1:1234", "[::1]:80"):
        assert (await served.request("GET", "/api/v1/info", Host=host)).status_code == 200


async def test_each_role_has_its_own_routes(served: Served) -> None:
    """The tokens of a user, a SuperExec and a task open only their own routes."""
    run = await served.start()
    task = await served.begin()
    base, seq = f"/api/runtime/tasks/{task.task_id}", Report(seq=1)
    for token in (EXECUTOR, task.token):
        for method, path in (
            ("GET", "/api/v1/info"),
            ("GET", "/api/v1/runs"),
            ("POST", f"/api/v1/runs/{run.run_id}/stop"),
        ):
            assert (await served.refused(method, path, token=token)).code == "permission-refused"
    for token in (USER, task.token):
        assert (await served.refused("POST", "/api/runtime/tasks/claim", CLAIM, token)).code == "permission-refused"
        gone = TaskExited(returncode=1)
        assert (await served.refused("POST", f"{base}/exited", gone, token)).code == "permission-refused"
    for token in (USER, EXECUTOR):
        assert (await served.refused("GET", f"{base}/input", token=token)).code == "permission-refused"
        assert (await served.refused("POST", f"{base}/report", seq, token)).code == "permission-refused"
    assert (await served.refused("GET", f"/api/objects/{'0' * 64}", token=EXECUTOR)).code == "permission-refused"
    assert (await served.refused("GET", f"{base}/directive", token=USER)).code == "permission-refused"


async def test_a_task_speaks_for_itself_only(served: Served) -> None:
    """The token of one task opens no route of another, and not its own with a made-up secret."""
    await served.start()
    first = await served.begin()
    await served.start()
    second = await served.begin()
    path = f"/api/runtime/tasks/{second.task_id}"
    assert (await served.refused("GET", f"{path}/input", token=first.token)).status == 403
    assert (await served.refused("POST", f"{path}/report", Report(seq=1), first.token)).status == 403
    assert (await served.refused("GET", f"{path}/directive", token=first.token)).status == 403
    made_up = f"{second.task_id}.1.secret"
    assert (await served.refused("GET", f"{path}/input", token=made_up)).status == 401
    assert (await served.refused("PUT", f"/api/objects/{'0' * 64}", b"x", made_up)).status == 401
    assert (await served.refused("GET", f"/api/objects/{'0' * 64}", token=made_up)).status == 401


async def test_an_attempt_that_is_over_is_refused(served: Served) -> None:
    """The token of a lost attempt opens nothing any longer: the process must not write beside its successor."""
    await served.start()
    first = await served.begin()
    await served.exited(first, TaskExited(returncode=-9))
    path = f"/api/runtime/tasks/{first.task_id}"
    for _ in range(2):
        assert (await served.refused("POST", f"{path}/report", Report(seq=1), first.token)).code == "permission-refused"
        assert (await served.refused("PUT", f"/api/objects/{'0' * 64}", b"x", first.token)).code == "permission-refused"
        end = FinishTask(outcome="completed")
        assert (await served.refused("POST", f"{path}/finish", end, first.token)).code == "permission-refused"
        await served.claim() if _ == 0 else None


BAD_REQUESTS: list[tuple[str, str, bytes | None, int, str]] = [
    ("GET", "/no/such/route", None, 404, "not-found"),
    ("DELETE", "/api/v1/runs", None, 405, "request-invalid"),
    ("GET", "/api/v1/runs/1", None, 404, "not-found"),
    ("GET", "/api/v1/runs/1/logs", None, 404, "not-found"),
    ("GET", "/api/v1/runs/1/metrics", None, 404, "not-found"),
    ("GET", "/api/v1/runs/1/artifacts", None, 404, "not-found"),
    ("GET", "/api/v1/runs/1/stream", None, 404, "not-found"),
    ("POST", "/api/v1/runs/1/stop", None, 404, "not-found"),
    ("GET", "/api/v1/runs/one", None, 422, "request-invalid"),
    ("GET", "/api/v1/runs/99999999999999999999", None, 422, "request-invalid"),
    ("GET", "/api/v1/runs?limit=0", None, 422, "request-invalid"),
    ("GET", "/api/v1/runs/1/logs?limit=-1", None, 422, "request-invalid"),
    ("GET", "/api/v1/runs/1/logs?after=x", None, 422, "request-invalid"),
    ("GET", "/api/v1/runs/1/stream?kinds=gossip", None, 422, "request-invalid"),
    ("POST", "/api/v1/runs", b"{", 422, "request-invalid"),
    ("POST", "/api/v1/runs", b"\xff", 422, "request-invalid"),
    ("POST", "/api/v1/runs", b"[]", 422, "request-invalid"),
    ("POST", "/api/v1/runs", b'{"fab_hash": "x", "surprise": 1}', 422, "request-invalid"),
    ("POST", "/api/v1/runs", b'{"fab_hash": 5}', 422, "request-invalid"),
    ("POST", "/api/v1/runs", b'{"fab_hash": "../../etc/passwd"}', 422, "object-invalid"),
    ("PUT", "/api/objects/ABC", b"x", 422, "object-invalid"),
    ("GET", "/api/objects/" + "g" * 64, None, 422, "object-invalid"),
    ("GET", "/api/objects/" + "0" * 64, None, 404, "not-found"),
    ("PUT", "/api/objects/" + "0" * 64, b"x", 422, "object-invalid"),
]


async def test_a_bad_request_is_a_problem(served: Served) -> None:
    """Each bad request of a user is answered with a problem document that carries the code of its error."""
    for method, path, body, status, code in BAD_REQUESTS:
        found = await served.refused(method, path, body)
        assert (method, path, found.status, found.code) == (method, path, status, code)
        assert found.detail
        assert found.title


BAD_SUPEREXEC_REQUESTS: list[tuple[str, ClaimTask | TaskExited | bytes, str]] = [
    ("claim?wait=soon", CLAIM, "request-invalid"),
    ("claim?wait=nan", CLAIM, "request-invalid"),
    ("claim?wait=1e9", CLAIM, "request-invalid"),
    ("claim", b"{}", "request-invalid"),
    ("5/exited", TaskExited(returncode=0), "not-found"),
    ("x/exited", TaskExited(returncode=0), "request-invalid"),
]


async def test_a_bad_request_of_a_superexec_is_a_problem(served: Served) -> None:
    """So is each bad request of a SuperExec."""
    for path, body, code in BAD_SUPEREXEC_REQUESTS:
        found = await served.refused("POST", f"/api/runtime/tasks/{path}", body, EXECUTOR)
        assert (path, found.code) == (path, code)


FOREIGN_EVENTS = [
    Event(kind="status", data={"status": "finished"}),
    Event(kind="task"),
    Event(kind="gossip"),
    Event(kind="waiting", data={"for": 5}),
]


async def test_an_app_reports_only_its_own_events(served: Served) -> None:
    """What the SuperLink itself writes, and what no one knows, is refused, and nothing of the report is kept."""
    run = await served.start()
    task = await served.begin()
    path = f"/api/runtime/tasks/{task.task_id}/report"
    for event in FOREIGN_EVENTS:
        report = Report(seq=1, logs=[LogLine(text="not kept")], events=[event])
        assert (await served.refused("POST", path, report, task.token)).code == "request-invalid"
    huge = Report(seq=1, logs=[LogLine(text="not kept", round=2**70)])
    assert (await served.refused("POST", path, huge, task.token)).code == "request-invalid"
    await served.report(task, Report(seq=1, logs=[LogLine(text="kept")]))
    page = await served.ask(LogPage, "GET", f"/api/v1/runs/{run.run_id}/logs")
    assert [line.text for line in page.lines] == ["kept"]


async def test_a_task_that_is_not_claimed_cannot_begin_again(served: Served) -> None:
    """The input of a finished task is refused as a conflict."""
    await served.start()
    task = await served.begin()
    await served.finish(task, FinishTask(outcome="completed"))
    path = f"/api/runtime/tasks/{task.task_id}/input"
    assert (await served.refused("GET", path, token=task.token)).code == "conflict"


BAD_SETTINGS: list[tuple[dict[str, Any], str, str]] = [
    ({"run_config": {"train.lrr": 0.1}}, "config-key-unknown", "train.lr"),
    ({"run_config": {"rounds": "three"}}, "config-invalid", "rounds"),
    ({"run_config": {"rounds": True}}, "config-invalid", "rounds"),
    ({"federation_config": {"num-supernode": 3}}, "config-key-unknown", "num-supernodes"),
    ({"federation_config": {"num-supernodes": 0}}, "config-invalid", "10000000"),
    ({"federation_config": {"num-supernodes": 10_000_001}}, "config-invalid", "10000000"),
    ({"federation_config": {"client-resources-num-cpus": 0}}, "config-invalid", "greater than 0"),
    ({"federation_config": {"client-resources-num-gpus": -1.0}}, "config-invalid", "at least 0"),
    ({"federation_config": {"backend": "magic"}}, "config-invalid", "inline"),
    ({"federation_config": {"verbose": "yes"}}, "config-invalid", "true or false"),
    ({"seed": 2**63}, "request-invalid", "64 bits"),
    ({"federation": "x" * 300}, "request-invalid", "200"),
]


async def test_a_run_with_bad_settings_is_refused(served: Served) -> None:
    """An unknown key names the nearest known ones; a bad value says which values are good. No run is stored."""
    run = await served.start()
    for options, code, words in BAD_SETTINGS:
        found = await served.refused("POST", "/api/v1/runs", StartRun(fab_hash=run.bundle.fab_hash, **options))
        assert (options, found.code) == (options, code)
        assert words in f"{found.detail} {found.hint}"
    assert len((await served.request("GET", "/api/v1/runs")).json()["runs"]) == 1


async def test_a_damaged_bundle_is_refused(served: Served) -> None:
    """What is no bundle starts no run."""
    digest = await served.put(b"not a ZIP")
    assert (await served.refused("POST", "/api/v1/runs", StartRun(fab_hash=digest))).code == "bundle-invalid"


async def test_a_body_that_is_too_large_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JSON body has a limit, and so has an object, whether or not its length was announced."""
    monkeypatch.setattr("umbel.superlink.api.requests.MAX_BODY", 100)
    assert (await served.refused("POST", "/api/v1/runs", b" " * 101)).code == "too-large"
    served.link.objects.max_size = 100
    data = b"x" * 101
    path = f"/api/objects/{hashlib.sha256(data).hexdigest()}"
    assert (await served.refused("PUT", path, data)).code == "too-large"

    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(101):
            yield b"x"

    response = await served.client.put(path, content=unannounced(), headers={"Authorization": f"Bearer {USER}"})
    assert problem(response).code == "too-large"
    assert list(served.link.objects.incoming.iterdir()) == []


async def test_an_unexpected_error_tells_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug is answered with a problem without a word of its inside, and logged with its traceback."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("umbel.superlink.services.views.newest", broken)
    response = await served.request("GET", "/api/v1/runs")
    found = problem(response)
    assert (found.status, found.code) == (500, "error")
    assert "secret" not in response.text
    assert "secret detail" in caplog.text
    assert (await served.request("GET", "/health")).status_code == 200


async def test_the_documentation_is_complete(served: Served) -> None:
    """OpenAPI names every Control route and the fields of its bodies, and the page shows them without foreign links."""
    document = (await served.client.get("/openapi.json")).json()
    assert len(document["paths"]) == 11
    assert "fab_hash" in document["components"]["schemas"]["StartRun"]["properties"]
    assert "Problem" in document["components"]["schemas"]
    page = (await served.client.get("/docs")).text
    assert "/api/v1/runs/{run_id}/stream" in page
    assert "http" not in page.replace("HTTP", "")


async def test_many_bad_requests_leave_the_server_well(served: Served) -> None:
    """A hundred refusals at the same time hinder no one."""
    found = await asyncio.gather(*(served.refused("POST", "/api/v1/runs", b"{") for _ in range(100)))
    assert {one.code for one in found} == {"request-invalid"}
    assert (await served.start()).status == "pending"


def test_every_error_has_its_own_code() -> None:
    """No two error classes share a code: a client makes the class from it."""
    codes = [cls.code for cls in all_errors()]
    assert len(codes) == len(set(codes))
