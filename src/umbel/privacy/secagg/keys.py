"""Key agreement: two clients get the same secret from their own private and the other's public key (X25519, RFC 7748; HKDF, RFC 5869)."""

from __future__ import annotations

import os
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from umbel.errors import SecureAggregationRefused

KEY_BYTES = 32


class KeyPair(NamedTuple):
    """An X25519 key pair, 32 bytes each."""

    private: bytes
    public: bytes


def key_pair(private: bytes | None = None) -> KeyPair:
    """The pair of this private key; a new one, from the system's generator, when none is given."""
    private = os.urandom(KEY_BYTES) if private is None else private
    return KeyPair(private, X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


def agree(mine: KeyPair, theirs: bytes, session: bytes, purpose: bytes) -> bytes:
    """The 32-byte secret that the holder of `mine` and the owner of the public key `theirs` share for one `purpose` in one session.

    It is bound to the session and to both public keys. Raises SecureAggregationRefused for what is no public key.
    """
    try:
        shared = X25519PrivateKey.from_private_bytes(mine.private).exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError as error:
        raise SecureAggregationRefused(f"A peer's public key is not valid: {error}") from error
    info = b"umbel secagg " + purpose + b"".join(sorted((mine.public, theirs)))
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=session, info=info).derive(shared)
