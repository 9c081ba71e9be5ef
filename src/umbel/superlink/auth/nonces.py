"""Nonces that were seen: a signed request is good once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Protocol

from umbel.errors import Unauthenticated
from umbel.superlink.store import nodes
from umbel.superlink.store.database import Database, Transaction
from umbel.superlink.store.nodes import Used
from umbel.superlink.waiting.batching import Batch
from umbel.wire.signatures import WINDOW, Parameters

_BEFORE, _ANEW = "The request is a replay: its nonce has already been used.", "Sign each attempt separately."
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
            raise Unauthenticated(_BEFORE, hint=_ANEW)
        if len(seen) >= PER_KEY:
            raise Unauthenticated(
                f"The key has signed {PER_KEY} requests within a minute, which is the limit.",
                hint="Send fewer requests.",
            )
        seen.add(nonce)

    def _forget(self, now: float) -> None:
        oldest = int((now - WINDOW) // WINDOW)
        for stretch in [stretch for stretch in self._stretches if stretch < oldest]:
            del self._stretches[stretch]


class SharedNonces:
    """The nonces of all SuperLinks on one database. What many requests bring at the same time is written in one go."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._own = MemoryNonces()
        self._batch: Batch[Used, bool] = Batch(self._write)
        self._forgotten = 0.0  # when old ones were last dropped

    async def use(self, parameters: Parameters, now: float) -> None:
        """Use up a nonce. Raises Unauthenticated if it has been used before."""
        await self._own.use(parameters, now)
        if not await self._batch.ask(Used(parameters.keyid, parameters.nonce, parameters.created)):
            raise Unauthenticated(_BEFORE, hint=_ANEW)

    async def _write(self, used: Sequence[Used]) -> list[bool]:
        newest = float(max(one.created for one in used))
        owner = secrets.randbits(62)
        forgets = newest - self._forgotten > WINDOW
        self._forgotten = newest if forgets else self._forgotten

        def write(transaction: Transaction) -> set[Used]:
            if forgets:
                nodes.forget(transaction, newest - 4 * WINDOW)
            return nodes.use(transaction, used, owner)

        new = await self._db.awrite(write)
        return [one in new for one in used]
