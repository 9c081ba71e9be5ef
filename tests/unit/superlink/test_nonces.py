"""Nonces in memory: good once, remembered for as long as it matters, and no longer."""

from __future__ import annotations

import pytest

from umbel.errors import Unauthenticated
from umbel.superlink.auth import nonces
from umbel.superlink.auth.nonces import MemoryNonces
from umbel.wire.signatures import WINDOW, Parameters

NOW = 1_000_000.0


def made(created: float = NOW, nonce: str = "n", keyid: str = "key") -> Parameters:
    """The parameters of a signature."""
    return Parameters(int(created), keyid, "ed25519", nonce, "umbel-node")


async def test_a_nonce_is_good_once() -> None:
    """The second use is refused, at any moment at which the signature would still be accepted."""
    for created in (NOW - WINDOW, NOW, NOW + WINDOW):
        for later in (0.0, created + WINDOW - NOW):
            seen = MemoryNonces()
            await seen.use(made(created), NOW)
            with pytest.raises(Unauthenticated, match="already been used"):
                await seen.use(made(created), NOW + later)


async def test_keys_have_nonces_of_their_own() -> None:
    """The same nonce of another key, and another nonce of the same key, are new."""
    seen = MemoryNonces()
    for parameters in (made(), made(nonce="other"), made(keyid="other")):
        await seen.use(parameters, NOW)
    with pytest.raises(Unauthenticated, match="already been used"):
        await seen.use(made(), NOW)


async def test_memory_does_not_grow_with_time() -> None:
    """What is too old to be accepted is forgotten: an hour of requests leaves a few minutes of nonces."""
    seen = MemoryNonces()
    for second in range(3600):
        await seen.use(made(NOW + second, str(second)), NOW + second)
    assert sum(len(used) for stretch in seen._stretches.values() for used in stretch.values()) <= 4 * WINDOW


async def test_a_key_that_floods_hinders_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """More requests than the limit are refused, those of another key are not."""
    monkeypatch.setattr(nonces, "PER_KEY", 3)
    seen = MemoryNonces()
    for number in range(3):
        await seen.use(made(nonce=str(number)), NOW)
    with pytest.raises(Unauthenticated, match="has signed"):
        await seen.use(made(nonce="3"), NOW)
    await seen.use(made(keyid="other"), NOW)
