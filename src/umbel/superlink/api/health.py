"""Health, readiness and Prometheus metrics."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from umbel import __version__
from umbel.errors import UmbelError
from umbel.superlink import prometheus
from umbel.superlink.api.requests import require_user, superlink
from umbel.superlink.core import SuperLink
from umbel.superlink.store import runs

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_PATIENCE = 5.0  # seconds for the database and the disk to answer
_FRESH = 5.0  # seconds for which the numbers of the database are told again: several scrapers cost one query


async def health(_: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """The database and the objects can be used; 503 and the reason if not."""
    link = superlink(request)
    try:
        async with asyncio.timeout(_PATIENCE):
            await link.db.aread(_look)
            await asyncio.to_thread(link.objects.probe)
    except TimeoutError:
        return _unready(f"The database or the disk did not respond within {_PATIENCE:.0f} s.")
    except OSError as error:
        return _unready(f"No object can be written: {error.strerror or error}.")
    except (UmbelError, DBAPIError) as error:
        return _unready(error.message if isinstance(error, UmbelError) else "The database cannot be read.")
    return JSONResponse({"status": "ok"})


async def metrics(request: Request) -> Response:
    """The numbers, as Prometheus reads them."""
    if "umbel.principal" in request.scope:  # not from this machine
        require_user(request)
    link = superlink(request)
    counted = await _counted(request, link)
    return Response(prometheus.exposition([*_process(link), *counted]), media_type=prometheus.CONTENT_TYPE)


def _look(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


def _unready(reason: str) -> Response:
    return JSONResponse({"status": "not ready", "reason": reason}, 503)


async def _counted(request: Request, link: SuperLink) -> list[Metric]:
    state, now = request.app.state, time.monotonic()
    known: tuple[float, list[Metric]] | None = getattr(state, "counted", None)
    if known is None or now - known[0] > _FRESH:
        known = state.counted = (now, await link.db.aread(_stored))
    return known[1]


def _stored(connection: Connection) -> list[Metric]:
    by_outcome: dict[prometheus.Labels, float] = {
        (("status", status), ("outcome", outcome)): number
        for status, outcome, number in runs.count_by_status(connection)
    }
    return [
        prometheus.family("umbel_runs", "gauge", "Runs by status and outcome.", by_outcome),
        *(
            prometheus.family(f"umbel_{noun}", "gauge", f"{noun.capitalize()} by state.", prometheus.by("state", found))
            for noun, found in runs.count_by_state(connection).items()
        ),
    ]


def _process(link: SuperLink) -> list[Metric]:
    traffic = link.traffic
    full: dict[prometheus.Labels, float] = {(): link.db.full_since is not None}
    return [
        prometheus.family("umbel_info", "gauge", "The version.", {(("version", __version__),): 1}),
        prometheus.family(
            "umbel_uptime_seconds", "gauge", "Time since the SuperLink started.", {(): link.now() - link.started_at}
        ),
        prometheus.family("umbel_requests_total", "counter", "Requests answered.", traffic.requests.values),
        prometheus.family(
            "umbel_received_bytes_total", "counter", "Bytes received in requests.", traffic.bytes_in.values
        ),
        prometheus.family("umbel_sent_bytes_total", "counter", "Bytes sent in responses.", traffic.bytes_out.values),
        prometheus.family(
            "umbel_parked_requests",
            "gauge",
            "Waiting requests by topic.",
            prometheus.by("topic", link.wakeups.parked()),
        ),
        prometheus.family("umbel_database_full", "gauge", "1 if the database has no space left.", full),
        prometheus.histogram("umbel_database_write_seconds", "Transactions committed.", link.db.latency),
    ]


ROUTES = [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]
