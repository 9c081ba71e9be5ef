"""An engine as a grid sees it."""

from __future__ import annotations

from collections.abc import Callable

from umbel.app import Message
from umbel.engine.exchange import Exchange


class FakeEngine:
    """Keeps the exchanges it is given; the test answers."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.clientapp_seconds = 0.0
        self.on_submit: Callable[[Exchange], object] = lambda _: None

    def submit(self, exchange: Exchange) -> None:
        """Take on an exchange."""
        self.exchanges.append(exchange)
        self.on_submit(exchange)

    def close(self) -> None:
        """Nothing to end."""


def answer_all(exchange: Exchange, reply: Callable[[Message], Message]) -> None:
    """Answer every message that was not answered yet."""
    for start, stop in exchange.unanswered():
        for index in range(start, stop):
            answer = reply(exchange.messages[index])
            if answer.has_content():
                exchange.received += sum(record.count_bytes() for record in answer.content.values())
            exchange.replied(index, answer)
