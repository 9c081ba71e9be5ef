"""Criterion: which clients may be sampled."""

from __future__ import annotations

from abc import ABC, abstractmethod

from umbel.compat.flwr.legacy.clientproxy import ClientProxy

__all__ = ["Criterion"]


class Criterion(ABC):
    """Says of a client whether it may be sampled."""

    @abstractmethod
    def select(self, client: ClientProxy) -> bool:
        """Whether it may."""
