"""Nonces that were seen: a signed request is good once."""

from __future__ import annotations

from typing import Protocol

from umbel.errors import Unauthenticated
from umbel.wire.signatures import WINDOW, Parameters

PER_KEY = 30_000  # requests of one key that were signed within the same `WINDOW` of seconds: 500 a second


class Nonces(Protocol):
    """Takes every nonce once. Replicas that share a database share their nonces too."""

    async def use(self, parameters: Parameters, now: float) -> None:
        """Raises Unauthenticated when the key has used the nonce before."""


class MemoryNonces:
    """The nonces of one process.

    They are kept by the stretch of `WINDOW` seconds in which they were made, as long as a request of that stretch is still
    accepted: a stretch and those beside it. One key cannot fill the memory, and what it sends does not hinder another.
    """

    def __init__(self) -> None:
        self._stretches: dict[int, dict[str, set[int]]] = {}

    async def use(self, parameters: Parameters, now: float) -> None:
        """See `Nonces`. `parameters` are those of a signature that was verified and is within `WINDOW` of `now`."""
        self._forget(now)
        seen = self._stretches.setdefault(int(parameters.created // WINDOW), {}).setdefault(parameters.keyid, set())
        nonce = hash(parameters.nonce)  # 8 bytes instead of 70; keyed by a secret of this process
        if nonce in seen:
            raise Unauthenticated("The request was sent before: its nonce is used up.", hint="Sign each attempt anew.")
        if len(seen) >= PER_KEY:
            raise Unauthenticated(
                f"The key has signed {PER_KEY} requests within a minute.", hint="Send fewer requests."
            )
        seen.add(nonce)

    def _forget(self, now: float) -> None:
        oldest = int((now - WINDOW) // WINDOW)
        for stretch in [stretch for stretch in self._stretches if stretch < oldest]:
            del self._stretches[stretch]
