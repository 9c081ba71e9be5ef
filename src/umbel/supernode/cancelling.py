"""How work on a message ends that nobody waits for any more."""

from __future__ import annotations


class Cancelled(Exception):
    """Nobody waits for this message any more."""
