"""Objects over HTTP, kept in a dictionary: a SuperLink as far as transfers of contents see it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.http_peer import Answer, Call, Peer, answering, json_answer, ok, problem

Interfere = Callable[[Call, bytes], Answer | None]


class Store:
    """What was put, by digest. `interfere` may answer a call otherwise: it gets the call and the answer it would have."""

    def __init__(self, interfere: Interfere | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.interfere = interfere
        self.peer: Peer

    def add(self, *chunks: bytes) -> list[str]:
        """Store chunks; returns their digests."""
        digests = [hashlib.sha256(chunk).hexdigest() for chunk in chunks]
        self.objects |= dict(zip(digests, chunks, strict=True))
        return digests

    def count(self, method: str) -> int:
        """How many requests had this method."""
        return sum(call.method == method for call in self.peer.calls)

    def answer(self, call: Call) -> Answer:
        """The answer to a call."""
        other = self.interfere(call, self._answer(call)) if self.interfere else None
        return self._answer(call) if other is None else other

    def _answer(self, call: Call) -> bytes:
        digest = call.path.partition("?")[0].removeprefix("/api/objects/")
        if call.method == "POST":
            missing = [name for name in json.loads(call.body)["digests"] if name not in self.objects]
            return json_answer({"digests": missing})
        if call.method == "PUT":
            if hashlib.sha256(call.body).hexdigest() != digest:
                return problem(422, "object-invalid", "The body was cut.")
            self.objects[digest] = call.body
            return ok(status="201 Created")
        return ok(self.objects[digest]) if digest in self.objects else problem(404, "not-found", "No such object.")


@contextmanager
def store(interfere: Interfere | None = None) -> Iterator[Store]:
    """A store that answers."""
    one = Store(interfere)
    with answering(one.answer) as one.peer:
        yield one
