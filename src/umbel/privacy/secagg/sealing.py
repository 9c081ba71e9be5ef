"""Sealed shares: what one client sends to another through the server, which can neither read nor change it (AES-256-GCM)."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from umbel.errors import SecureAggregationRefused
from umbel.privacy.secagg.keys import KeyPair, agree

_NONCE_BYTES = 12  # drawn anew each time: a stage that is served twice must not use one twice


def seal(text: bytes, mine: KeyPair, theirs: bytes, session: bytes, sender: int, receiver: int) -> bytes:
    """`text`, readable only by `receiver`, whose public key is `theirs`; 28 bytes longer."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(mine, theirs, session).encrypt(nonce, text, _label(session, sender, receiver))


def unseal(sealed: bytes, mine: KeyPair, theirs: bytes, session: bytes, sender: int, receiver: int) -> bytes:
    """What `sender` sealed. Raises SecureAggregationRefused when it was changed, or sealed by or for somebody else or in another session."""
    try:
        return _cipher(mine, theirs, session).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _label(session, sender, receiver)
        )
    except (InvalidTag, ValueError) as error:
        raise SecureAggregationRefused(
            f"The share of node {sender} for node {receiver} is not authentic: it was changed on its way, or belongs elsewhere.",
            hint="Nothing of this node went into the sum; look for a fault, or an attack, between the two nodes.",
        ) from error


def _cipher(mine: KeyPair, theirs: bytes, session: bytes) -> AESGCM:
    return AESGCM(agree(mine, theirs, session, b"seal"))


def _label(session: bytes, sender: int, receiver: int) -> bytes:
    return session + sender.to_bytes(8, "big") + receiver.to_bytes(8, "big")
