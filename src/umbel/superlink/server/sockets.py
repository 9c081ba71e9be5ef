"""Listening sockets and the addresses they serve."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from umbel.errors import ConfigError
from umbel.superlink.server.tls_options import is_loopback

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from umbel.superlink.server.tls_options import TlsOptions


@dataclass(frozen=True, slots=True)
class Doors:
    """`plain` is always there: with TLS it is a free port of loopback, for the programs of this machine alone.

    So the SuperLink's own SuperExec and its app processes, and the command line of its operator, need no certificate.
    `names` are those under which others may ask.
    """

    plain: socket.socket
    secure: socket.socket | None = None
    context: ssl.SSLContext | None = None
    names: frozenset[str] = frozenset()

    @property
    def local_address(self) -> str:
        """For programs of this machine."""
        host, port = self.plain.getsockname()[:2]
        return f"http://{_bracketed('127.0.0.1' if _is_any(host) else host)}:{port}"

    @property
    def public_address(self) -> str:
        """The address for other machines; the same one if none can reach it."""
        host, port = (self.secure or self.plain).getsockname()[:2]
        if _is_any(host):
            host = next((name for name in sorted(self.names) if _is_name(name)), socket.gethostname())
        return f"{'https' if self.secure else 'http'}://{_bracketed(host)}:{port}"


@contextmanager
def open_doors(host: str, port: int, access: TlsOptions) -> Iterator[Doors]:
    """The sockets, listening. Raises ConfigError."""
    named = frozenset(access.allowed_host)
    with ExitStack() as opened:
        if access.ssl_certfile and access.ssl_keyfile:
            from umbel.superlink.server import tls

            tls.check(access.ssl_certfile, access.ssl_ca_certfile)
            context = tls.server_context(access.ssl_certfile, access.ssl_keyfile)
            named |= tls.names(access.ssl_certfile)
            secure = opened.enter_context(listen(host, port))
            yield Doors(opened.enter_context(listen("127.0.0.1", 0)), secure, context, named)
        else:
            # Where the connections are plain and no names were given, nothing is known of how others ask.
            yield Doors(opened.enter_context(listen(host, port)), names=named or _anybody(host))


def _anybody(host: str) -> frozenset[str]:
    return frozenset() if is_loopback(host) else frozenset({"*"})


def _is_any(host: str) -> bool:
    return host in ("0.0.0.0", "::")  # noqa: S104 - what it was told to listen on


def _is_name(name: str) -> bool:
    return not name.startswith("*") and not name[-1].isdigit() and ":" not in name


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers without delay (TCP_NODELAY) only on sockets that name their protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"Cannot listen on {host} port {port}: {reason}.") from error
    listener.listen(2048)
    return listener
