"""The program `umbel-superlink`. What is slow to import comes after the socket is bound: clients wait there."""

from __future__ import annotations

import gc
import json
import os
import secrets
import signal
import sys
import time
from typing import TYPE_CHECKING

from umbel import __version__
from umbel.errors import Conflict, UmbelError
from umbel.superlink.auth.tokens import local_token
from umbel.superlink.server import settings as options
from umbel.superlink.server.home import Home
from umbel.superlink.server.logfile import LogFile
from umbel.superlink.server.sockets import open_doors
from umbel.superlink.server.superexec_child import SuperExecChild, command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from umbel.superlink.server.settings import Settings
    from umbel.superlink.server.sockets import Doors


def main(argv: list[str] | None = None) -> int:
    """Serve until told to end; returns the exit code."""
    try:
        return run(options.parse(argv))
    except UmbelError as error:
        sys.stderr.write(f"umbel-superlink: {error}\n")
        return error.exit_code


def run(settings: Settings) -> int:
    """Serve with these settings. Raises Conflict when another SuperLink holds the home and does not answer."""
    home = Home(settings.home)
    home.prepare()
    lock = home.take_lock()
    if lock is None:
        return _other(settings, home)
    with lock, open_doors(settings.host, settings.port, settings.access) as doors:
        return _serve(settings, home, doors)


def _serve(settings: Settings, home: Home, doors: Doors) -> int:
    address = doors.local_address
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the event loop takes it over
    token = os.environ.pop("UMBEL_EXECUTOR_TOKEN", "") or secrets.token_urlsafe(32)
    log = _open_log(settings)
    superexec = None
    if settings.isolation == "subprocess":
        argv = command(address, may_install=settings.may_install)
        superexec = SuperExecChild(argv, token, home.root, relayed=log is not None)
    info = {"address": address, "public_address": doors.public_address, "pid": os.getpid()}
    info |= {"version": __version__, "started_at": time.time()}
    local_token(home.token)  # readers of the info file read the token next
    home.write_info(info)
    _tell(settings, info)
    sys.stderr.write(f"Umbel SuperLink {__version__} at {doors.public_address}. Its token is in {home.token}.\n")
    try:
        gc.disable()  # until all is there: to look for garbage in what is being loaded takes a tenth of the start
        from umbel.superlink.server.serve import serve

        return serve(settings, home, doors, token, superexec, log)
    finally:
        home.info.unlink(missing_ok=True)
        if superexec is not None:
            superexec.kill()


def _open_log(settings: Settings) -> LogFile | None:
    """The log file, if there is to be one: all that this process and its children write goes there from now on."""
    kept = settings.keeping
    if kept.log_file is None:
        return None
    log = LogFile(kept.log_file, kept.log_rotation_interval_hours, kept.log_rotation_backup_count)
    log.open(time.time())
    return log


def _tell(settings: Settings, info: Mapping[str, object]) -> None:
    """Write the address of the SuperLink for the process that started it."""
    if settings.ready_fd is not None:
        with os.fdopen(settings.ready_fd, "w") as ready:
            ready.write(json.dumps(info) + "\n")


def _other(settings: Settings, home: Home) -> int:
    """Another process holds the lock: say where it answers."""
    import http.client
    from urllib.parse import urlsplit

    info = home.read_info() or {}
    address = urlsplit(str(info.get("address", "")))
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=10)
    try:
        connection.request("GET", "/health")
        healthy = connection.getresponse().status == 200
    except OSError:
        healthy = False
    finally:
        connection.close()
    if not healthy:
        raise Conflict(
            f"Another SuperLink (pid {info.get('pid', 'unknown')}) holds {home.root} and does not respond.",
            hint="Wait a moment, or stop that process.",
        )
    _tell(settings, info)
    sys.stdout.write(f"A SuperLink already serves {home.root} at {address.geturl()} (pid {info['pid']}).\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
