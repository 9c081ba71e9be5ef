"""Settings of the SuperLink program."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from umbel.environments import requirements
from umbel.errors import UsageError
from umbel.superlink.server import storage_options
from umbel.superlink.server.storage_options import StorageOptions
from umbel.superlink.server.tls_options import TlsOptions, add_options, take_options

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `umbel-superlink`. Times in seconds, sizes in bytes."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one
    isolation: Literal["subprocess", "process"] = "subprocess"  # process: the SuperExec is started by somebody else
    idle_exit: float = 0.0  # 0: never
    ready_fd: int | None = None  # descriptor that gets one line of JSON, the address and more, once the port is bound
    max_object: int = 64 * _GIB
    lease_seconds: float = 30.0
    simulation: bool = False  # runs are simulations; otherwise their clients are real sites
    may_install: bool = False  # what apps declare and this machine does not have, for its own SuperExec
    access: TlsOptions = field(default_factory=TlsOptions)
    keeping: StorageOptions = field(default_factory=StorageOptions)


def parse(argv: list[str] | None) -> Settings:
    """The settings of a command line. Raises ConfigError, UsageError."""
    options = vars(parser().parse_args(argv))
    kept = storage_options.take_options(options, os.environ)
    return Settings(access=take_options(options, options["host"]), keeping=kept, **options)


def parser() -> argparse.ArgumentParser:
    """The command line of umbel-superlink."""
    parser = _Parser(
        prog="umbel-superlink",
        description="The coordinator of a federation: stores runs, their messages and results, and dispatches their tasks.",
    )
    parser.add_argument("--home", type=Path, default=default_home(), help="directory for its files (UMBEL_HOME)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; TLS is required unless it is a loopback address"
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 selects a free one")
    parser.add_argument("--simulation", action="store_true", help="simulate the clients of every run on this machine")
    parser.add_argument("--isolation", choices=["subprocess", "process"], default="subprocess", help=_ISOLATION)
    parser.add_argument(requirements.OPTION, action="store_true", dest="may_install", help=requirements.HELP)
    parser.add_argument("--idle-exit", type=float, default=0.0, metavar="SECONDS", help=_IDLE)
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    storage_options.add_options(parser)
    add_options(parser)
    return parser


def default_home() -> Path:
    """UMBEL_HOME, or ~/.umbel."""
    return Path(os.environ.get("UMBEL_HOME") or Path.home() / ".umbel")


_ISOLATION = "subprocess: start a SuperExec; process: a SuperExec is started separately, with UMBEL_EXECUTOR_TOKEN"
_IDLE = "exit after this long without requests and unfinished runs; 0: never"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, hint="See `umbel-superlink --help`.")
