"""The HTTP client under every typed client of Umbel.

It stands on the standard library's `http.client`, not on a full HTTP library: each process of a run holds one, so its
import time (`umbel.wire.control` stays under about 80 ms over a bare interpreter, msgspec included) and its memory count.

Each thread has one persistent connection. Every call of the API may be repeated (a run by its `request_id`, a report
by its `seq`, an object by its digest), so a call whose connection is refused, reset or silent is tried again, with
growing and jittered delays, until `patience` seconds have passed.
"""

from __future__ import annotations

import hashlib
import select
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from umbel import __version__
from umbel.errors import (
    ConfigError,
    DatabaseUnavailable,
    SuperLinkUnreachable,
    TooLarge,
    UmbelError,
    all_errors,
    from_code,
)
from umbel.wire.api import UNDECODABLE, Problem
from umbel.wire.connection import HEADER, Addresses, Backoff
from umbel.wire.signatures import Bearer, Credentials
from umbel.wire.tls import TlsConnection, Trust, refused

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
Blocks = Callable[[], Iterable[bytes | memoryview]]  # called once for each attempt

CONNECT_TIMEOUT = 5.0  # seconds
ANSWER_TIMEOUT = 30.0  # seconds without a byte, on top of what a long-poll may wait
PATIENCE = 10.0  # seconds
MAX_ANSWER = 64 * 1024 * 1024  # bytes of a JSON answer
BLOCK = 1024 * 1024  # bytes sent or received in one piece
CUT = (  # what a retry may heal
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    ssl.SSLError,
    IncompleteRead,
    DatabaseUnavailable,
)
_BETWEEN = (502, 503, 504)  # what a proxy answers while the SuperLink behind it is gone


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `blocks` gives its body of `length` bytes; `wait` is what the server may take to answer, in seconds."""

    method: str
    path: str
    blocks: Blocks = tuple
    length: int | None = None
    content_type: str = "application/json"
    wait: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    digest: str | None = None  # SHA-256 of the body, for the signature


class HttpClient:
    """Requests to one SuperLink; safe to share between threads.

    `address` is `https://host:port`, or with http; several, separated by commas, are those of SuperLinks that share a database: when
    one fails, the next is tried. An answer may be silent for `silence` seconds. `locate`, asked before each retry where there
    is one address, may name that to which the SuperLink has moved. `root_certificates` is a PEM file that replaces the system's
    trust. `version` is that as which the client introduces itself. Raises ConfigError for an address that is not a SuperLink's.
    """

    def __init__(
        self,
        address: str,
        credentials: str | Credentials,
        *,
        patience: float = PATIENCE,
        silence: float = ANSWER_TIMEOUT,
        locate: Callable[[], str | None] | None = None,
        root_certificates: str | Path | None = None,
        version: str = __version__,
    ) -> None:
        self.addresses = Addresses(address)
        self.patience = patience
        self._silence = silence
        self._locate = locate
        self._credentials = Bearer(credentials) if isinstance(credentials, str) else credentials
        self._local = threading.local()
        self._closed = threading.Event()
        self._trust = Trust(root_certificates)
        self._fixed = {HEADER: version}
        for one in self.addresses.all:
            open_connection(one, self._trust)

    @property
    def address(self) -> str:
        """The address that is used at present."""
        return self.addresses.current

    def close(self) -> None:
        """Close this thread's connection and end every wait for a retry."""
        self._closed.set()
        self._drop()

    def call(self, method: str, path: str, answer: type[T], body: msgspec.Struct | None = None, wait: float = 0.0) -> T:
        """Send a struct, return the answer decoded as `answer` (None for an empty one)."""
        data = b"" if body is None else msgspec.json.encode(body)
        digest, length = hashlib.sha256(data).hexdigest(), len(data) if method != "GET" else None
        request = Request(method, path, lambda: (data,), length, wait=wait, digest=digest)
        return decode(self.exchange(request, read_answer), answer, self.address)

    def exchange(self, request: Request, consume: Callable[[HTTPResponse], T]) -> T:
        """Send a request, check the answer's status and return what `consume` makes of the answer; repeated on a cut.

        Raises the error of a problem document, SuperLinkUnreachable when no answer came.
        """
        backoff = Backoff(self.patience)
        while True:
            try:
                return self._attempt(request, consume)
            except CUT as failure:
                self.retry(backoff, failure)
            except HTTPException as failure:
                raise unreachable(self.address, failure) from failure

    def retry(self, backoff: Backoff, failure: BaseException) -> None:
        """Wait until the next attempt is due. Raises SuperLinkUnreachable when patience is at its end."""
        several, failed = len(self.addresses.all), self._local.tried
        self._local.failures = getattr(self._local, "failures", 0) + 1
        self.addresses.leave(failed)
        if failed != self.address:
            self._drop()
        if self._local.failures % several and not self._closed.is_set():
            return  # the next address is tried at once
        if not backoff.wait(self._closed):
            raise failure if isinstance(failure, UmbelError) else unreachable(failed, failure) from failure
        if several == 1 and self._locate is not None:
            self.addresses.current = self._locate() or self.address

    def open(self, request: Request) -> tuple[HTTPConnection, HTTPResponse]:
        """Send a request once, on a separate connection that the caller closes."""
        self._local.tried = address = self.address
        connection = open_connection(address, self._trust)
        try:
            _connect(connection, address)
            response = self._send_on(connection, request)
            check(response)
        except BaseException:
            connection.close()
            raise
        return connection, response

    def _attempt(self, request: Request, consume: Callable[[HTTPResponse], T]) -> T:
        try:
            response = self._send_on(self._connection(), request)
        except BaseException:
            self._drop()
            raise
        try:
            check(response)
            result = consume(response)
            response.read()
            self._local.failures = 0
            return result
        finally:
            if not response.isclosed():
                self._drop()

    def _connection(self) -> HTTPConnection:
        held: _Held | None = getattr(self._local, "held", None)
        if held is None or _is_stale(held.connection):
            self._drop()
            self._local.tried = address = self.address
            held = self._local.held = _Held(open_connection(address, self._trust), address)
            _connect(held.connection, address)
        self._local.tried = held.address
        return held.connection

    def _send_on(self, connection: HTTPConnection, request: Request) -> HTTPResponse:
        connection.sock.settimeout(request.wait + self._silence)
        authority = authority_of(connection)
        proof = self._credentials.headers(request.method, authority, request.path, request.digest)
        connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": authority, **self._fixed, **proof, **request.headers}.items():
            connection.putheader(name, value)
        if request.length is not None:
            connection.putheader("Content-Length", str(request.length))
            connection.putheader("Content-Type", request.content_type)
        try:
            connection.endheaders()
            for block in request.blocks() if request.length else ():
                connection.send(block)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a body answers before it has read it all: the answer says why.
            return connection.getresponse()
        return connection.getresponse()

    def _drop(self) -> None:
        held: _Held | None = getattr(self._local, "held", None)
        self._local.held = None
        if held is not None:
            held.connection.close()


class _Held:
    """A thread's connection, closed at the latest when its thread or its client is gone."""

    def __init__(self, connection: HTTPConnection, address: str) -> None:
        self.connection = connection
        self.address = address
        weakref.finalize(self, connection.close).atexit = False


def open_connection(address: str, trust: Trust) -> HTTPConnection:
    """A connection, not yet connected, to `http[s]://host[:port]`. Raises ConfigError for any other form."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise ConfigError(f"'{address}' is not the address of a SuperLink.", hint="Use the form https://HOST:PORT.")
    if parts.scheme == "http":
        return HTTPConnection(host, port, timeout=CONNECT_TIMEOUT, blocksize=BLOCK)
    return TlsConnection(host, port, trust=trust, timeout=CONNECT_TIMEOUT, blocksize=BLOCK)


def authority_of(connection: HTTPConnection) -> str:
    """What the Host header says: the host, in brackets where it is an IPv6 address, and the port unless it is the default one."""
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    return host if connection.port == connection.default_port else f"{host}:{connection.port}"


def _connect(connection: HTTPConnection, address: str) -> None:
    try:
        connection.connect()
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as failure:
        raise ConnectionError("it closed the connection during the TLS handshake") from failure
    except ssl.SSLError as failure:
        raise refused(connection, address, failure) from failure
    except OSError as failure:
        raise ConnectionError(str(failure)) from failure


def _is_stale(connection: HTTPConnection) -> bool:
    """Whether the server has closed an idle connection: between two answers nothing but its end can be readable."""
    if connection.sock is None:
        return True
    readable, _, _ = select.select([connection.sock], [], [], 0)
    return bool(readable)


def unreachable(address: str, failure: BaseException) -> SuperLinkUnreachable:
    """The error for a SuperLink that did not answer at `address`."""
    reason = str(failure) or type(failure).__name__
    hint = "Check that it is running and that the address is correct."
    if isinstance(failure, RemoteDisconnected) and address.startswith("http://"):
        hint = f"Check the address. If the SuperLink uses TLS, use {address.replace('http', 'https', 1)}."
    return SuperLinkUnreachable(f"The SuperLink at {address} does not respond ({reason}).", hint=hint)


def check(response: HTTPResponse) -> None:
    """Raise the error that an answer of status 400 or more stands for."""
    if response.status < 400:
        return
    raise _problem(response.status, response.reason, read_answer(response))


def _problem(status: int, reason: str, data: bytes) -> UmbelError:
    try:
        problem = msgspec.json.decode(data, type=Problem)
    except UNDECODABLE:
        if status in _BETWEEN:
            raise ConnectionError(f"a proxy answered {status} {reason}") from None
        known = {cls.http_status: cls for cls in reversed(list(all_errors()))}
        return known.get(status, UmbelError)(f"The SuperLink answered {status} {reason}.")
    return from_code(problem.code, problem.detail or problem.title, problem.hint)


def read_answer(response: HTTPResponse, limit: int = MAX_ANSWER) -> bytes:
    """The answer's body. Raises TooLarge over `limit` bytes."""
    if response.length is not None and response.length > limit:
        raise TooLarge(f"The response has {response.length} bytes, more than the limit of {limit}.")
    if response.length is not None:
        return response.read()
    parts, size = [], 0
    for block in read_blocks(response):
        parts.append(block)
        size += len(block)
        if size > limit:
            raise TooLarge(f"The response exceeds the limit of {limit} bytes.")
    return b"".join(parts)


def read_blocks(response: HTTPResponse) -> Iterator[bytes]:
    """The answer's body in the pieces in which it arrives. Raises IncompleteRead when it is cut."""
    while block := response.read1(BLOCK):
        yield block
    if response.length:
        raise IncompleteRead(b"", response.length)


def decode(data: bytes, answer: type[T], address: str) -> T:
    """An answer's JSON as a struct. Raises SuperLinkUnreachable when it is not what a SuperLink of this version says."""
    try:
        return msgspec.json.decode(data or b"null", type=answer)
    except UNDECODABLE as failure:
        raise SuperLinkUnreachable(
            f"The server at {address} is not a SuperLink of a compatible version ({failure}).",
            hint="Check the address, and that both sides run the same version of Umbel.",
        ) from failure
