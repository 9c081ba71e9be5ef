"""The Control client: what it asks for and what it makes of the answers."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.http_peer import Answer, Call, Cut, answering, chunks, json_answer, peer, problem
from umbel.errors import NotFound, SuperLinkUnreachable
from umbel.wire.api import LogLine, MetricPoint, StartRun
from umbel.wire.control import ControlClient


def run(status: str) -> dict[str, object]:
    bundle = {"fab_id": "a/b", "fab_version": "1.0.0", "fab_hash": "ab"}
    return {"run_id": 7, "bundle": bundle, "federation": "@local/default", "status": status}


def item(cursor: str) -> bytes:
    data = {"type": "item", "cursor": cursor, "log": {"text": f"line {cursor}"}}
    return f"id: {cursor}\ndata: {json.dumps(data)}\n\n".encode()


def test_each_call_has_its_route() -> None:
    """The calls use the methods and paths of the API."""
    answers = [json_answer({"version": "1"}), json_answer({"runs": [run("running")]}), json_answer({"runs": []})]
    answers += [json_answer(run("running"))] * 2 + [json_answer({"artifacts": []})]
    with peer(*answers) as server:
        client = ControlClient(server.address, "")
        assert client.info().version == "1"
        assert [view.run_id for view in client.list_runs()] == [7]
        assert client.list_runs(limit=3) == []
        assert client.get_run(7).status == "running"
        assert client.stop_run(7).run_id == 7
        assert client.artifacts(7) == []
    assert [f"{call.method} {call.path}" for call in server.calls] == [
        "GET /api/v1/info",
        "GET /api/v1/runs",
        "GET /api/v1/runs?limit=3",
        "GET /api/v1/runs/7",
        "POST /api/v1/runs/7/stop",
        "GET /api/v1/runs/7/artifacts",
    ]


def test_a_start_that_is_cut_starts_one_run() -> None:
    """A repeated `start_run` carries the same request id, so that the SuperLink starts one run only."""
    with peer(Cut(), json_answer(run("pending"))) as server:
        ControlClient(server.address, "").start_run(StartRun(fab_hash="ab"))
    first, second = (json.loads(call.body)["request_id"] for call in server.calls)
    assert first == second != ""


def test_logs_and_metrics_are_read_page_by_page() -> None:
    """The pages are read by cursor until one is empty."""
    pages = [json_answer({"lines": [{"text": "a"}, {"text": "b"}], "cursor": "2"})]
    pages += [json_answer({"lines": [{"text": "c"}], "cursor": "3"}), json_answer({"lines": [], "cursor": "3"})]
    with peer(*pages) as server:
        assert list(ControlClient(server.address, "").logs(7)) == [LogLine(text=text) for text in "abc"]
    assert [call.path.partition("after=")[2].partition("&")[0] for call in server.calls] == ["", "2", "3"]
    point = {"key": "loss", "value": 0.5, "round": 1, "phase": "train"}
    with peer(json_answer({"points": [point], "cursor": "1"}), json_answer({"points": [], "cursor": "1"})) as server:
        points = list(ControlClient(server.address, "").metrics(7))
    assert points == [MetricPoint(key="loss", value=0.5, round=1, phase="train")]


def test_a_stream_goes_on_after_a_cut_without_loss() -> None:
    """A stream that is cut between or within items is taken up again after the last whole item, until the run is over."""
    streams: dict[str, Answer] = {
        "": Cut(chunks(b": hello\n\n" + item("1"), item("2")[:9], end=False)),
        "1": Cut(chunks(item("2"), end=False)),
        "2": chunks(item("3"), b": beat\n\n"),
    }

    def answer(call: Call) -> Answer:
        if call.path == "/api/v1/runs/7":
            return json_answer(run("finished"))
        return streams[call.path.partition("after=")[2].partition("&")[0]]

    with answering(answer) as server:
        items = list(ControlClient(server.address, "").stream(7, kinds=["log"]))
    assert [item.cursor for item in items] == ["1", "2", "3"]
    assert [item.log.text for item in items if item.log] == ["line 1", "line 2", "line 3"]
    assert server.calls[0].path == "/api/v1/runs/7/stream?after=&kinds=log"


def test_a_stream_that_ends_before_its_run_is_taken_up_again() -> None:
    """A SuperLink that shuts down ends a stream properly; that is not the end of the run."""
    views = [json_answer(run("running")), json_answer(run("finished"))]

    def answer(call: Call) -> Answer:
        if call.path == "/api/v1/runs/7":
            return views.pop(0)
        return chunks(item("2") if "after=1&" in call.path else item("1"))

    with answering(answer) as server:
        items = [item.cursor for item in ControlClient(server.address, "").stream(7)]
    assert items == ["1", "2"]


def test_other_calls_go_on_while_a_stream_is_open() -> None:
    """A stream has its own connection: the consumer can call while it waits for the next item."""

    def answer(call: Call) -> Answer:
        return chunks(item("1"), item("2")) if "stream" in call.path else json_answer(run("finished"))

    with answering(answer) as server:
        client = ControlClient(server.address, "")
        for _ in client.stream(7):
            assert client.get_run(7).run_id == 7


def test_a_stream_of_no_run_is_an_error() -> None:
    """A refusal ends the stream at once; so does a SuperLink that stays away."""
    with peer(problem(404, "not-found", "There is no run 7.")) as server, pytest.raises(NotFound):
        next(ControlClient(server.address, "").stream(7))
    client = ControlClient(server.address, "")
    client.http.patience = 0.1
    with pytest.raises(SuperLinkUnreachable):
        next(client.stream(7))


@pytest.mark.usefixtures("unmeasured")
def test_the_client_imports_little() -> None:
    """Importing the client brings the standard library, msgspec and Umbel, and of the standard library not asyncio."""
    code = "import sys, umbel.wire.control; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    foreign = {name for name in loaded - set(sys.stdlib_module_names) - set(sys.builtin_module_names) if name[0] != "_"}
    assert foreign <= {"umbel", "msgspec", "typing_extensions", "sitecustomize"}
    assert not loaded & {"asyncio", "multiprocessing", "concurrent"}
