"""Serve the API until told to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator

import uvicorn.config
import uvicorn.server
from starlette.types import ASGIApp

from umbel.superlink.api.app import create_app
from umbel.superlink.auth.guard import Secrets
from umbel.superlink.auth.tokens import local_token
from umbel.superlink.core import SuperLink
from umbel.superlink.home import Home
from umbel.superlink.leases import Leases
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.settings import Settings
from umbel.superlink.store.database import Database
from umbel.superlink.store.schema import prepare
from umbel.superlink.superexec_child import SuperExecChild

_SHUTDOWN = 5  # seconds for the requests under way; waits end at once
_KEEP_ALIVE = 75  # seconds; longer than a client pauses between two requests


class Server(uvicorn.server.Server):
    """uvicorn's server, with its signals left to the program."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def serve(
    settings: Settings,
    home: Home,
    listener: socket.socket,
    executor_token: str,
    superexec: SuperExecChild | None,
) -> int:
    """Serve on `listener` until SIGTERM, SIGINT or the idle exit; returns the exit code."""
    _configure_logging()
    db = Database(f"sqlite:///{home.database}")
    try:
        prepare(db.writer)
        asyncio.run(_run(settings, home, listener, executor_token, superexec, db))
    finally:
        db.close()
    return 0


async def _run(
    settings: Settings,
    home: Home,
    listener: socket.socket,
    executor_token: str,
    superexec: SuperExecChild | None,
    db: Database,
) -> None:
    objects = ObjectDirectory(home.objects, settings.max_object)
    link = SuperLink(db, objects, leases=Leases(settings.lease_seconds), idle_exit=settings.idle_exit)
    app = create_app(link, Secrets(local_token(home.token), executor_token))
    server = make_server(app)
    link.idle.on_idle = end = _ender(link, server)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    await link.recover(executor_is_gone=settings.isolation == "subprocess")
    if superexec is not None:
        superexec.watch(link.executor_died)
    try:
        await server.serve([listener])
    finally:
        link.close()
        if superexec is not None:
            await superexec.end()


def make_server(app: ASGIApp) -> Server:
    """A server for `app` that adds nothing of its own to the log of requests."""
    config = uvicorn.config.Config(
        app,
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_SHUTDOWN,
    )
    return Server(config)


def _ender(link: SuperLink, server: Server) -> Callable[[], None]:
    def end() -> None:
        link.wakeups.close()
        server.should_exit = True

    return end


def _configure_logging() -> None:
    logging.basicConfig(format="%(asctime)sZ %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.Formatter.converter = time.gmtime
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
