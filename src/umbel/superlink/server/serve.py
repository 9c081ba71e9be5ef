"""Serve the API until told to end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator

import uvicorn.config
import uvicorn.server
from starlette.types import ASGIApp

from umbel.superlink.api.app import create_app
from umbel.superlink.auth.guard import Hosts, Secrets
from umbel.superlink.auth.tokens import local_token
from umbel.superlink.core import SuperLink
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.server.home import Home
from umbel.superlink.server.logfile import LogFile
from umbel.superlink.server.settings import Settings
from umbel.superlink.server.sockets import Doors
from umbel.superlink.server.superexec_child import SuperExecChild
from umbel.superlink.store import database
from umbel.superlink.store.database import Database
from umbel.superlink.store.engines import prepare
from umbel.superlink.waiting.leases import Leases
from umbel.wire.signatures import read_secret

_SHUTDOWN = 5  # seconds for the requests under way; waits end at once
_HANDSHAKE = 15.0  # seconds to agree on TLS
_FAREWELL = 1.0  # seconds for the other side to say that it knows of the end
_KEEP_ALIVE = 75  # seconds; longer than a client pauses between two requests


class Server(uvicorn.server.Server):
    """uvicorn's server, with its signals left to the program, a second socket that speaks TLS, and nothing to do while idle."""

    def __init__(self, config: uvicorn.config.Config, doors: Doors | None = None) -> None:
        super().__init__(config)
        self._doors = doors
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Let `serve` return."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """Wait for the end. uvicorn's own looks for it ten times a second."""
        await self.on_tick(0)
        await self._ending.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on `sockets`, and on the secure one of the doors."""
        await super().startup(sockets)
        if self._doors is not None and self._doors.secure is not None:
            secure = await asyncio.get_running_loop().create_server(
                self._protocol,
                sock=self._doors.secure,
                ssl=self._doors.context,
                ssl_handshake_timeout=_HANDSHAKE,
                ssl_shutdown_timeout=_FAREWELL,
            )
            self.servers.append(secure)

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def serve(
    settings: Settings,
    home: Home,
    doors: Doors,
    executor_token: str,
    superexec: SuperExecChild | None,
    log: LogFile | None = None,
) -> int:
    """Serve at the doors until SIGTERM, SIGINT or the idle exit; returns the exit code."""
    _configure_logging()
    db = Database(settings.keeping.database or f"sqlite:///{home.database}")
    try:
        with database.translated():
            prepare(db.writer)
        asyncio.run(_run(settings, home, doors, executor_token, superexec, db, log))
    finally:
        db.close()
    return 0


async def _run(
    settings: Settings,
    home: Home,
    doors: Doors,
    executor_token: str,
    superexec: SuperExecChild | None,
    db: Database,
    log: LogFile | None,
) -> None:
    secret_file = settings.access.superexec_auth_secret_file
    executor_secret = read_secret(secret_file) if secret_file else b""
    objects = ObjectDirectory(settings.keeping.object_store or home.objects, settings.max_object)
    if log is not None:
        log.keep_rotating()
    link = SuperLink(
        db,
        objects,
        leases=Leases(settings.lease_seconds),
        idle_exit=settings.idle_exit,
        kind="simulation" if settings.simulation else "serverapp",
        has_superexec=superexec is not None,
    )
    app = create_app(
        link,
        Secrets(local_token(home.token), executor_token, executor_secret),
        hosts=Hosts(doors.names),
        registered_only=settings.access.enable_supernode_auth,
    )
    gc.freeze()  # what is loaded by now stays
    gc.enable()
    server = make_server(app, doors)
    link.idle.on_idle = end = _ender(link, server)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    await link.recover(home.swap_number(link.replicas.number))
    if superexec is not None:
        superexec.watch(link.executor_died)
    try:
        await server.serve([doors.plain])
    finally:
        link.close()
        if superexec is not None:
            await superexec.end()


def make_server(app: ASGIApp, doors: Doors | None = None) -> Server:
    """A server for `app` without its own request log."""
    config = uvicorn.config.Config(
        app,
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # forwarded addresses are neither trusted nor used
        date_header=False,  # of the second in which it was made: the boundary adds it
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_SHUTDOWN,
    )
    return Server(config, doors)


def _ender(link: SuperLink, server: Server) -> Callable[[], None]:
    def end() -> None:
        link.wakeups.close()
        server.end()

    return end


def _configure_logging() -> None:
    logging.basicConfig(format="%(asctime)sZ %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.Formatter.converter = time.gmtime
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
