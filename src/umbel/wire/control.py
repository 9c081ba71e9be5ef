"""The client of the Control API: what a person's tools say to a SuperLink."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from umbel import __version__
from umbel.wire import objects
from umbel.wire.api import (
    Artifact,
    ArtifactList,
    LogLine,
    LogPage,
    MetricPage,
    MetricPoint,
    NodeView,
    NodeViews,
    RegisterNode,
    ReplaceKey,
    RunList,
    RunView,
    ServerInfo,
    StartRun,
    StreamItem,
)
from umbel.wire.http import HttpClient
from umbel.wire.stream import stream_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

P = TypeVar("P", LogPage, MetricPage)

PAGE = 1000  # lines or points in one answer


class ControlClient:
    """Runs, their streams and their results, at one SuperLink. Every method may raise any error of the API.

    `locate`, `root_certificates` and `version` are those of `HttpClient`.
    """

    def __init__(
        self,
        address: str,
        token: str,
        *,
        locate: Callable[[], str | None] | None = None,
        root_certificates: str | None = None,
        version: str = __version__,
    ) -> None:
        self.http = HttpClient(address, token, locate=locate, root_certificates=root_certificates, version=version)

    @property
    def address(self) -> str:
        """Where the SuperLink answers."""
        return self.http.address

    def info(self) -> ServerInfo:
        """Name, version and process of the SuperLink."""
        return self.http.call("GET", "/api/v1/info", ServerInfo)

    def put_object(self, data: bytes | Path) -> str:
        """Store bytes, or a file's bytes, as an object; returns the digest."""
        return objects.put_file(self.http, data) if isinstance(data, Path) else objects.put_parts(self.http, [data])

    def start_run(self, request: StartRun) -> RunView:
        """Start a run of a bundle that was put before."""
        if not request.request_id:
            request = msgspec.structs.replace(request, request_id=uuid.uuid4().hex)
        return self.http.call("POST", "/api/v1/runs", RunView, request)

    def list_runs(self, limit: int | None = None) -> list[RunView]:
        """The runs, newest first."""
        query = f"?limit={limit}" if limit is not None else ""
        return self.http.call("GET", f"/api/v1/runs{query}", RunList).runs

    def get_run(self, run_id: int) -> RunView:
        """One run."""
        return self.http.call("GET", f"/api/v1/runs/{run_id}", RunView)

    def stop_run(self, run_id: int) -> RunView:
        """Ask a run to stop; one that has finished stays as it is."""
        return self.http.call("POST", f"/api/v1/runs/{run_id}/stop", RunView)

    def register_node(self, request: RegisterNode) -> NodeView:
        """Let the SuperNode with this key take part."""
        return self.http.call("POST", "/api/v1/nodes", NodeView, request)

    def list_nodes(self, *, everyone: bool = False) -> list[NodeView]:
        """The registered nodes, oldest first; `everyone`: those that were unregistered too."""
        return self.http.call("GET", f"/api/v1/nodes?all={str(everyone).lower()}", NodeViews).nodes

    def unregister_node(self, node_id: int) -> NodeView:
        """End a node's session and forget its key."""
        return self.http.call("DELETE", f"/api/v1/nodes/{node_id}", NodeView)

    def replace_key(self, node_id: int, request: ReplaceKey) -> NodeView:
        """Give a node another key."""
        return self.http.call("PUT", f"/api/v1/nodes/{node_id}/key", NodeView, request)

    def stream(
        self,
        run_id: int,
        *,
        after: str = "",
        kinds: Sequence[str] = ("event", "log", "metric"),
        node_id: int | None = None,
    ) -> Iterator[StreamItem]:
        """What happens in a run, from the cursor `after` (or its beginning) until the run is over; log lines of `node_id` only.

        A broken stream resumes after the last item: none is lost or repeated.
        """
        return stream_run(self.http, run_id, after, kinds, node_id)

    def logs(self, run_id: int, node_id: int | None = None) -> Iterator[LogLine]:
        """The log lines stored so far, oldest first; those of a node, if one is given."""
        cursor, what = "", "logs" if node_id is None else f"logs?node={node_id}"
        while (page := self._page(run_id, what, cursor, LogPage)).lines:
            yield from page.lines
            cursor = page.cursor

    def metrics(self, run_id: int) -> Iterator[MetricPoint]:
        """The metric points stored so far, oldest first."""
        cursor = ""
        while (page := self._page(run_id, "metrics", cursor, MetricPage)).points:
            yield from page.points
            cursor = page.cursor

    def artifacts(self, run_id: int) -> list[Artifact]:
        """The run's artifacts, the newest of each name."""
        return self.http.call("GET", f"/api/v1/runs/{run_id}/artifacts", ArtifactList).artifacts

    def download(self, digest: str, path: Path) -> None:
        """Write an object to a file, verified; the file appears only when it is complete."""
        objects.get_to(self.http, digest, path)

    def close(self) -> None:
        """Close the calling thread's connection."""
        self.http.close()

    def _page(self, run_id: int, what: str, cursor: str, answer: type[P]) -> P:
        query = f"{'&' if '?' in what else '?'}after={cursor}&limit={PAGE}"
        return self.http.call("GET", f"/api/v1/runs/{run_id}/{what}{query}", answer)
