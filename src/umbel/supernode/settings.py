"""The options of `umbel-supernode`."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from umbel import __version__
from umbel.bundle.config import Config, parse_pairs
from umbel.engine.resources import this_machine
from umbel.environments import requirements
from umbel.errors import ConfigError, UsageError
from umbel.home import home
from umbel.wire.connection import each

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
CACHE_GIB = 16.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Settings:
    """The settings of a SuperNode. `cpus` and `gpus` are the total for all `slots` concurrent clients."""

    superlink: str  # http://HOST:PORT or https://HOST:PORT
    state_dir: Path
    root_certificates: Path | None = None
    private_key: Path | None = None  # None: the key in the state directory
    name: str = ""
    node_config: Config = field(default_factory=dict)
    slots: int = 1  # messages served concurrently
    cpus: float = 1.0
    gpus: tuple[str, ...] = ()
    max_retries: int | None = None  # None: no limit
    max_wait: float = math.inf  # seconds
    cache_bytes: int = int(CACHE_GIB * 2**30)
    log_file: Path | None = None
    may_install: bool = False  # missing dependencies of apps


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Parse the command line. Raises UsageError, ConfigError."""
    options = parser().parse_args(arguments)
    if options.name and not _NAME.fullmatch(options.name):
        raise UsageError(f"Invalid node name `{options.name}`.", hint="Use letters, digits, dots and hyphens.")
    machine, has_roots = this_machine(), bool(options.root_certificates)
    gpus = machine.gpus if options.num_gpus is None else machine.gpus[: options.num_gpus]
    return Settings(
        superlink=each(
            options.superlink, lambda address: address_of(address, insecure=options.insecure, has_roots=has_roots)
        ),
        state_dir=options.state_dir or default_state_dir(options.name, options.auth_supernode_private_key),
        root_certificates=options.root_certificates,
        private_key=options.auth_supernode_private_key,
        name=options.name,
        node_config=parse_pairs(options.node_config),
        slots=options.slots,
        cpus=float(machine.cpus) if options.num_cpus is None else options.num_cpus,
        gpus=gpus,
        max_retries=options.max_retries,
        max_wait=options.max_wait_time,
        cache_bytes=int(options.cache_size * 2**30),
        log_file=options.log_file,
        may_install=options.may_install,
    )


def address_of(text: str, *, insecure: bool, has_roots: bool = False) -> str:
    """The URL for `text`, a URL or HOST:PORT. The default is TLS, except with `insecure`, or on this machine without root certificates.

    Raises ConfigError for an invalid address, and for plain `http://` to another machine without `insecure`.
    """
    has_scheme = "://" in text
    try:
        parts = urlsplit(text if has_scheme else f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("", "http", "https") or parts.path not in ("", "/"):
        raise ConfigError(f"'{text}' is not the address of a SuperLink.", hint="Use the form HOST:PORT.")
    is_plain = parts.scheme == "http" if has_scheme else insecure or (host in LOOPBACK and not has_roots)
    if is_plain and not insecure and host not in LOOPBACK:
        raise ConfigError(
            f"The connection to {text} would not be encrypted.",
            hint="Use https://, or pass --insecure if the network is trusted.",
        )
    where = f"[{host}]" if ":" in host else host
    return f"{'http' if is_plain else 'https'}://{where}" + (f":{port}" if port else "")


def default_state_dir(name: str, private_key: Path | None) -> Path:
    """The default state directory: named after the node, or else after its key file."""
    return (
        home()
        / "supernode"
        / (name or (re.sub(r"[^A-Za-z0-9._-]", "_", private_key.stem) if private_key else "default"))
    )


def parser() -> argparse.ArgumentParser:
    """The command line of the program."""
    parser = argparse.ArgumentParser(
        prog="umbel-supernode",
        description="The agent of a site: executes the ClientApps of runs next to the site's data.",
    )
    add = parser.add_argument
    add("--superlink", required=True, metavar="ADDRESS", help="HOST:PORT or URL; separate several with commas")
    add("--insecure", action="store_true", help="connect without TLS, even to another machine")
    add(
        "--root-certificates",
        type=Path,
        metavar="FILE",
        help="PEM file with the certificate authorities to trust (default: the system's)",
    )
    add(
        "--auth-supernode-private-key",
        type=Path,
        metavar="FILE",
        help="Ed25519 key in OpenSSH or PEM format (default: a new key is created)",
    )
    add("--name", default="", help="display name of the node; also the name of its state directory")
    add(
        "--node-config",
        action="append",
        default=[],
        metavar="PAIRS",
        help="""values that ClientApps read from context.node_config, for example 'k1=1 k2="v"'""",
    )
    add("--slots", type=_count, default=1, metavar="N", help="messages processed concurrently (default: 1)")
    add("--num-cpus", type=_positive, metavar="N", help="total CPUs for clients (default: all)")
    add("--num-gpus", type=_natural, metavar="N", help="total GPUs for clients (default: all)")
    add(
        "--isolation",
        choices=["subprocess"],
        default="subprocess",
        help="how ClientApps are isolated: in separate processes",
    )
    add("--state-dir", type=Path, metavar="DIR", help="default: UMBEL_HOME/supernode/NAME")
    add(
        "--cache-size",
        type=_positive,
        default=CACHE_GIB,
        metavar="GIB",
        help=f"disk space for cached message contents (default: {CACHE_GIB:g})",
    )
    add(
        "--max-retries",
        type=_natural,
        metavar="N",
        help="attempts to reach the SuperLink before giving up (default: no limit)",
    )
    add("--max-wait-time", type=_positive, default=math.inf, metavar="SECONDS", help="likewise, time without contact")
    add(requirements.OPTION, action="store_true", dest="may_install", help=requirements.HELP)
    add("--log-file", type=Path, metavar="FILE", help="write the log to this file")
    add("--version", action="version", version=f"umbel-supernode {__version__}")
    return parser


def _natural(text: str) -> int:
    if (value := int(text)) < 0:
        raise ValueError(text)
    return value


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def _positive(text: str) -> float:
    if not (value := float(text)) > 0:
        raise ValueError(text)
    return value
