"""Who the node is at its SuperLink."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Presence:
    """The node's id and the number of its session, both 0 until it is there."""

    node_id: int = 0
    session: int = 0
