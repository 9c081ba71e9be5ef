"""ServerConfig: how many rounds, and how long each may take."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ServerConfig"]


@dataclass
class ServerConfig:
    """`round_timeout` is in seconds, for each phase of a round; None: no limit."""

    num_rounds: int = 1
    round_timeout: float | None = None

    def __repr__(self) -> str:
        limit = "no round_timeout" if self.round_timeout is None else f"round_timeout={self.round_timeout}s"
        return f"num_rounds={self.num_rounds}, {limit}"
