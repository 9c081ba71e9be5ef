"""An HTTP peer whose every answer a test writes byte by byte, the bad ones too."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    connection: int  # counts the connections from 0


@dataclass(frozen=True)
class Cut:
    """Send `data` and close the connection."""

    data: bytes = b""


Answer = bytes | Cut


class Peer:
    """Answers each request with what `answer` makes of it; remembers all requests."""

    def __init__(self, answer: Callable[[Call], Answer], port: int = 0) -> None:
        self.calls: list[Call] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Refuse connections from now on and cut the open ones."""
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection, len(self._open) - 1), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while call := _read(stream, number):
                self.calls.append(call)
                answer = self._answer(call)
                connection.sendall(answer.data if isinstance(answer, Cut) else answer)
                if isinstance(answer, Cut):
                    connection.shutdown(socket.SHUT_RDWR)
                    return


def _read(stream: IO[bytes], number: int) -> Call | None:
    line = stream.readline()
    if not line:
        return None
    method, path, _ = line.decode().split()
    headers = {}
    while header := stream.readline().strip():
        name, _, value = header.decode().partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("x-read", headers.get("content-length", 0)))
    body = stream.read(length)
    return Call(method, path, headers, body, number) if len(body) == length else None


def ok(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def json_answer(value: object, status: str = "200 OK") -> bytes:
    """A whole answer with a JSON body."""
    return ok(json.dumps(value).encode(), status)


def problem(status: int, code: str, detail: str, hint: str | None = None) -> bytes:
    """A problem document."""
    document = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, "hint": hint}
    return json_answer(document, f"{status} Problem")


def chunks(*parts: bytes, end: bool = True) -> bytes:
    """The head of a stream and its first chunks; with its proper end or without."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return head + body + (b"0\r\n\r\n" if end else b"")


@contextlib.contextmanager
def peer(*answers: Answer) -> Iterator[Peer]:
    """A peer that gives these answers in turn, and repeats the last one."""
    left = list(answers)
    with answering(lambda call: left.pop(0) if len(left) > 1 else left[0]) as one:
        yield one


@contextlib.contextmanager
def answering(answer: Callable[[Call], Answer]) -> Iterator[Peer]:
    """A peer that answers with a function."""
    one = Peer(answer)
    try:
        yield one
    finally:
        one.close()
