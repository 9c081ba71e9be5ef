"""A SuperLink made of a script, to hold a command at an exact moment."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from umbel.wire.api import (
    Artifact,
    ArtifactList,
    BundleInfo,
    Event,
    LogLine,
    LogPage,
    MetricPage,
    MetricPoint,
    Problem,
    RunList,
    RunView,
    StartRun,
    StreamItem,
)


class FakeSuperLink:
    """Runs as the test sets them. `answer_start` holds the answer to a new run back, `end_stream` the stream's end."""

    def __init__(self) -> None:
        self.runs: dict[int, RunView] = {}
        self.by_request: dict[str, int] = {}
        self.requests: list[StartRun] = []
        self.script: list[StreamItem] = []
        self.log_lines: list[LogLine] = []
        self.points: list[MetricPoint] = []
        self.artifacts: list[Artifact] = []
        self.objects: dict[str, bytes] = {}
        self.outcome: str = "completed"
        self.start_posted = threading.Event()
        self.answer_start = threading.Event()
        self.stream_sent = threading.Event()
        self.end_stream = threading.Event()
        self.answer_stop = threading.Event()
        self.stop_posted = threading.Event()
        self.answer_put = threading.Event()
        self.put_posted = threading.Event()
        self.open_gates()
        self._server = FakeServer(self)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def add_run(self, run: RunView) -> RunView:
        self.runs[run.run_id] = run
        return run

    def put(self, name: str, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        self.objects[digest] = data
        self.artifacts.append(Artifact(name=name, digest=digest, size=len(data)))

    def open_gates(self) -> None:
        for gate in (self.answer_put, self.answer_start, self.end_stream, self.answer_stop):
            gate.set()

    @contextmanager
    def serving(self) -> Iterator[FakeSuperLink]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.open_gates()
            self._server.shutdown()
            self._server.server_close()

    def start(self, request: StartRun) -> RunView:
        self.requests.append(request)
        if request.request_id not in self.by_request:
            run_id = 1000 + len(self.runs)
            self.by_request[request.request_id] = run_id
            self.add_run(make_run(run_id, status="running", running_at=1.0, seed=request.seed))
        self.start_posted.set()
        self.answer_start.wait(20)
        return self.runs[self.by_request[request.request_id]]

    def stop(self, run_id: int) -> RunView:
        self.stop_posted.set()
        self.answer_stop.wait(20)
        if self.runs[run_id].status != "finished":
            self.finish(run_id, "stopped")
        self.end_stream.set()
        return self.runs[run_id]

    def finish(self, run_id: int, outcome: str) -> None:
        run = self.runs[run_id]
        self.runs[run_id] = msgspec.structs.replace(run, status="finished", sub_status=outcome, finished_at=3.0)


class FakeServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeSuperLink) -> None:
        self.fake = fake
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A program that was told to leave cuts its connection: no reason to print a traceback."""


class Handler(BaseHTTPRequestHandler):
    """The routes that the command line uses."""

    server: FakeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/").split("/")
        if path[:2] == ["api", "objects"]:
            self.answer(self.server.fake.objects[path[2]])
        elif path[2:] == ["runs"]:
            runs = sorted(self.server.fake.runs.values(), key=lambda run: -run.run_id)
            self.answer(RunList(runs=runs[: int(self.query("limit") or 1000)]))
        elif int(path[3]) not in self.server.fake.runs:
            self.answer(Problem(type="", title="", status=404, code="not-found", detail="no such run"), 404)
        elif len(path) == 4:
            self.answer(self.server.fake.runs[int(path[3])])
        elif path[4] == "stream":
            self.stream(int(path[3]))
        else:
            self.answer(self.page(path[4]))

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.fake.put_posted.set()
        self.server.fake.answer_put.wait(20)
        self.answer(b"", 201)

    def do_HEAD(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/stop"):
            self.answer(self.server.fake.stop(int(self.path.split("/")[4])))
        else:
            self.answer(self.server.fake.start(msgspec.json.decode(body, type=StartRun)), 201)

    def page(self, what: str) -> msgspec.Struct:
        first = not self.query("after")
        if what == "logs":
            return LogPage(lines=self.server.fake.log_lines if first else [], cursor="end")
        if what == "metrics":
            return MetricPage(points=self.server.fake.points if first else [], cursor="end")
        return ArtifactList(artifacts=self.server.fake.artifacts)

    def query(self, name: str) -> str:
        pairs = dict(pair.partition("=")[::2] for pair in self.path.partition("?")[2].split("&"))
        return pairs.get(name, "")

    def stream(self, run_id: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number, item in enumerate(self.server.fake.script, start=1):
            data = msgspec.json.encode(msgspec.structs.replace(item, cursor=str(number)))
            self.wfile.write(b"id: %d\ndata: %s\n\n" % (number, data))
        self.wfile.flush()
        self.server.fake.stream_sent.set()
        self.server.fake.end_stream.wait(20)
        if self.server.fake.runs[run_id].status != "finished":
            self.server.fake.finish(run_id, self.server.fake.outcome)
        self.close_connection = True

    def answer(self, body: bytes | msgspec.Struct, status: int = 200) -> None:
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        with suppress(ConnectionError):  # the program may have left
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def make_run(run_id: int, **values: object) -> RunView:
    """A run of the app acme/tiny."""
    bundle = BundleInfo(fab_id="acme/tiny", fab_version="1.0.0", fab_hash="ab" * 32)
    return msgspec.convert(
        {"run_id": run_id, "bundle": bundle, "federation": "@local/default", "status": "running"} | values,
        RunView,
        from_attributes=True,
    )


def event(kind: str, **data: object) -> StreamItem:
    """A stream item with an event."""
    return StreamItem(cursor="", event=Event(kind=kind, data=data, at=1.0))


def connection_to(fake: FakeSuperLink, home: Path) -> None:
    """Make the fake the default connection of this UMBEL_HOME."""
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(f'[superlink]\ndefault = "fake"\n[superlink.fake]\naddress = "{fake.address}"\n')
