"""The engine without processes: every client is served in the caller's thread, where a debugger can stop."""

from __future__ import annotations

import itertools
import time

from umbel.app.message import Message
from umbel.engine.clients import ClientServer, capture, restore
from umbel.engine.contents import ReceivedContent
from umbel.engine.exchange import Exchange
from umbel.engine.local import OnProgress
from umbel.wire.records import pack, unpack


class InlineEngine:
    """Serves an exchange while it is submitted, one client after another, with the same results as any number of workers."""

    def __init__(self, server: ClientServer, on_progress: OnProgress) -> None:
        """`server` calls the ClientApp."""
        self._server = server
        self._on_progress = on_progress
        self.clientapp_seconds = 0.0  # spent serving

    def submit(self, exchange: Exchange) -> None:
        """Serve all its clients; it is over afterwards. Its limits of time do not apply."""
        before = capture()
        try:
            self._serve(exchange)
        finally:
            restore(before)  # the clients' random numbers are not the ServerApp's

    def _serve(self, exchange: Exchange) -> None:
        contents, which = exchange.contents()
        received = [ReceivedContent(b"".join(pack(content))) for content in contents]
        began = time.perf_counter()
        for index in itertools.chain.from_iterable(itertools.starmap(range, exchange.unanswered())):
            message = exchange.messages[index]
            sent = Message.from_parts(message.metadata, received[which[index]].fresh())
            reply = self._server.serve(sent, exchange.number, exchange.keep_from)
            if exchange.reduction is None and reply.has_content():
                data = bytearray(b"".join(pack(reply.content)))
                exchange.received += len(data)
                reply.content = unpack(data)  # the client may keep using its arrays
            exchange.replied(index, reply)
            self._on_progress(exchange)
        self.clientapp_seconds += time.perf_counter() - began

    def close(self) -> None:
        """Nothing is left behind."""
