"""Options for TLS, hostnames and credentials."""

from __future__ import annotations

import argparse
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umbel.errors import ConfigError

_HINT = "Give --ssl-certfile and --ssl-keyfile (create them with `umbel certificate create`), or --insecure if the whole network is trusted."


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """The options. Without a certificate the connections are plain."""

    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_ca_certfile: Path | None = None
    insecure: bool = False
    allowed_host: tuple[str, ...] = ()  # names, beside those in the certificate
    enable_supernode_auth: bool = False
    superexec_auth_secret_file: Path | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a command line."""
    group = parser.add_argument_group("access")
    group.add_argument(
        "--ssl-certfile", type=Path, metavar="PEM", help="certificate, followed by its intermediate certificates"
    )
    group.add_argument("--ssl-keyfile", type=Path, metavar="PEM", help="private key of the certificate")
    group.add_argument("--ssl-ca-certfile", type=Path, metavar="PEM", help="check that this CA issued the certificate")
    group.add_argument("--insecure", action="store_true", help="listen without TLS, even on a network address")
    group.add_argument("--allowed-host", action="append", default=[], metavar="NAME", help=_ALLOWED)
    group.add_argument("--enable-supernode-auth", action="store_true", help="admit only registered SuperNodes")
    group.add_argument("--superexec-auth-secret-file", type=Path, metavar="FILE", help=_SHARED)


_ALLOWED = "additional hostname under which clients reach it; * for any; may be repeated"
_SHARED = "file with the shared secret of SuperExecs on other machines; at least 32 characters"


def take_options(options: dict[str, Any], host: str) -> TlsOptions:
    """The options, taken out of a parsed command line that listens on `host`. Raises ConfigError."""
    values = {name: options.pop(name) for name in TlsOptions.__slots__}
    access = TlsOptions(**values | {"allowed_host": tuple(values["allowed_host"])})
    if (access.ssl_certfile is None) != (access.ssl_keyfile is None):
        raise ConfigError("--ssl-certfile and --ssl-keyfile must be given together.", hint="Give both or none.")
    if access.insecure and access.ssl_certfile:
        raise ConfigError("--insecure and --ssl-certfile are mutually exclusive.", hint="Use only one of them.")
    if access.ssl_certfile is None and access.ssl_ca_certfile:
        raise ConfigError("--ssl-ca-certfile needs --ssl-certfile and --ssl-keyfile.")
    if access.ssl_certfile is None and not access.insecure and not is_loopback(host):
        raise ConfigError(f"{host} can be reached from other machines, so TLS is required.", hint=_HINT)
    return access


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    if host in ("localhost", "::1"):
        return True
    try:
        return socket.inet_pton(socket.AF_INET, host)[0] == 127
    except OSError:
        return False
