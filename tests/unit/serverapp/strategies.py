"""Strategies as an author would write them."""

from __future__ import annotations

from collections.abc import Iterable

from umbel.app import ArrayRecord, Message, MetricRecord
from umbel.serverapp.strategy import FedAvg

Trained = tuple[ArrayRecord | None, MetricRecord | None]


class Streamed(FedAvg):
    """Overrides aggregate_train as an author would, to look at the replies twice."""

    seen = 0

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """Count the replies with a content, then continue as FedAvg."""
        self.seen += sum(1 for reply in replies if reply.has_content())
        return super().aggregate_train(server_round, replies)
