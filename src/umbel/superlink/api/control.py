"""Control API: runs, artifacts, streams."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from umbel import __version__
from umbel.superlink.api.requests import answer, body, parse_cursor, require_user, superlink
from umbel.superlink.api.stream import stream_run
from umbel.superlink.core import SuperLink
from umbel.superlink.services import reports, run_submission, views
from umbel.superlink.store import items, runs
from umbel.wire.api import (
    ArtifactList,
    LogPage,
    MetricPage,
    Problem,
    RunList,
    RunView,
    ServerInfo,
    StartRun,
    StreamItem,
)

_REF = "#/components/schemas/{name}"
_structs: set[type[msgspec.Struct]] = {Problem}


def documented(
    summary: str,
    *,
    answer: type[msgspec.Struct] | None,
    body: type[msgspec.Struct] | None = None,
    status: int = 200,
) -> dict[str, Any]:
    """The arguments of a FastAPI route. `answer` None stands for a stream of events."""
    media = {"application/json": _schema(answer)} if answer else {"text/event-stream": {}}
    failure = {"description": "An error", "content": {"application/problem+json": _schema(Problem)}}
    extra: dict[str, Any] = {
        "responses": {str(status): {"description": "Done", "content": media}, "default": failure},
        "security": [{"token": []}],
    }
    if body is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": _schema(body)}}
    return {"summary": summary, "status_code": status, "openapi_extra": extra, "response_model": None}


def components() -> dict[str, Any]:
    """The schemas of every struct that an operation names."""
    _, schemas = msgspec.json.schema_components(sorted(_structs, key=lambda struct: struct.__name__), ref_template=_REF)
    return schemas


def _schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    _structs.add(struct)
    return {"schema": {"$ref": _REF.format(name=struct.__name__)}}


RunId = Annotated[int, Path(ge=0, lt=2**63)]
Node = Annotated[int | None, Query(ge=0, lt=2**63, description="Return only items from this node.")]
Limit = Annotated[int, Query(ge=1, le=10_000)]

router = APIRouter(prefix="/api/v1")


@router.get("/info", **documented("Describe this SuperLink", answer=ServerInfo))
async def info(request: Request) -> Response:
    """Name, version and process of the SuperLink."""
    require_user(request)
    started_at = superlink(request).started_at
    return answer(ServerInfo(version=__version__, started_at=started_at, pid=os.getpid()))


@router.post("/runs", **documented("Start a run", body=StartRun, answer=RunView, status=201))
async def start_run(request: Request) -> Response:
    """Start a run of a bundle that was put as an object before."""
    require_user(request)
    link = superlink(request)
    return answer(await _view(link, await _start(link, await body(request, StartRun))), 201)


@router.get("/runs", **documented("List runs", answer=RunList))
async def list_runs(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """The runs, newest first."""
    require_user(request)
    link = superlink(request)
    moment = link.moment()
    found = await link.db.aread(lambda connection: views.newest(connection, limit, moment))
    return answer(RunList(runs=found))


@router.get("/runs/{run_id}", **documented("Show a run", answer=RunView))
async def get_run(request: Request, run_id: RunId) -> Response:
    """One run as it is now."""
    require_user(request)
    return answer(await _view(superlink(request), run_id))


@router.post("/runs/{run_id}/stop", **documented("Stop a run", answer=RunView))
async def stop_run(request: Request, run_id: RunId) -> Response:
    """Finish a run as stopped; one that has finished stays as it is."""
    require_user(request)
    link = superlink(request)
    await link.db.awrite(lambda transaction: reports.stop(transaction, run_id, link.now()))
    return answer(await _view(link, run_id))


@router.get("/runs/{run_id}/stream", **documented("Follow a run", answer=None))
async def stream(
    request: Request, run_id: RunId, after: str = "", kinds: str = "event,log,metric", node: Node = None
) -> Response:
    """Server-Sent Events, each a StreamItem with its cursor as id; ends after the run's end."""
    require_user(request)
    return await stream_run(superlink(request), run_id, after or request.headers.get("last-event-id", ""), kinds, node)


@router.get("/runs/{run_id}/logs", **documented("Read the log", answer=LogPage))
async def logs(request: Request, run_id: RunId, after: str = "", limit: Limit = 1000, node: Node = None) -> Response:
    """Log lines, oldest first."""
    found, cursor = await _page(request, "log", run_id, after, limit, node)
    return answer(LogPage(lines=[item.log for item in found if item.log], cursor=cursor))


@router.get("/runs/{run_id}/metrics", **documented("Get the metrics of a run", answer=MetricPage))
async def metrics(request: Request, run_id: RunId, after: str = "", limit: Limit = 1000, node: Node = None) -> Response:
    """Metric points, oldest first."""
    found, cursor = await _page(request, "metric", run_id, after, limit, node)
    return answer(MetricPage(points=[item.metric for item in found if item.metric], cursor=cursor))


@router.get("/runs/{run_id}/artifacts", **documented("List the artifacts of a run", answer=ArtifactList))
async def list_artifacts(request: Request, run_id: RunId) -> Response:
    """The newest artifact of each name."""
    require_user(request)
    link = superlink(request)
    await link.db.aread(lambda connection: runs.get(connection, run_id))
    return answer(
        ArtifactList(artifacts=await link.db.aread(lambda connection: runs.newest_artifacts(connection, run_id)))
    )


async def _start(link: SuperLink, request: StartRun) -> int:
    if request.request_id:
        known = await link.db.aread(lambda connection: runs.by_request(connection, request.request_id))
        if known is not None:
            return int(known.run_id)
    app = await asyncio.to_thread(run_submission.read_app, link.objects, request.fab_hash)
    planned = run_submission.plan(request, app, link.objects.size(request.fab_hash), link.kind)
    ids = {"run_id": link.new_id(), "task_id": link.new_id()}
    return await link.db.awrite(
        lambda transaction: run_submission.insert(transaction, planned, link.kind, now=link.now(), **ids)
    )


async def _view(link: SuperLink, run_id: int) -> RunView:
    moment = link.moment()
    return await link.db.aread(lambda connection: views.get(connection, run_id, moment))


async def _page(
    request: Request, kind: str, run_id: int, after: str, limit: int, node_id: int | None
) -> tuple[list[StreamItem], str]:
    require_user(request)
    link, seq = superlink(request), parse_cursor(after)
    await link.db.aread(lambda connection: runs.get(connection, run_id))
    found = await link.db.aread(lambda connection: items.after(connection, run_id, seq, [kind], limit, node_id))
    return [item for _, item in found], str(found[-1][0] if found else seq)
