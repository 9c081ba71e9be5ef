"""Key agreement, authenticated encryption and masks."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from umbel.errors import SecureAggregationRefused

_NONCE_BYTES = 12  # drawn for each message: a stage that is served twice must not reuse a nonce


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
            f"The share of node {sender} for node {receiver} is not authentic: it was modified in transit or belongs to another session.",
            hint="Nothing from this node was added to the sum. Look for a fault or an attack between the two nodes.",
        ) from error


def _cipher(mine: KeyPair, theirs: bytes, session: bytes) -> AESGCM:
    return AESGCM(agree(mine, theirs, session, b"seal"))


def _label(session: bytes, sender: int, receiver: int) -> bytes:
    return session + sender.to_bytes(8, "big") + receiver.to_bytes(8, "big")


_BLOCK = 1 << 16  # bytes made at a time: they stay in the processor's cache until they are added
_NONCE = bytes(16)  # each seed makes one mask, so that no nonce is needed to tell two apart
_ZEROS = bytes(_BLOCK)


def add_mask(vector: NDArray[Any], seed: bytes) -> None:
    """Add the mask of `seed` to a vector of uint32 or uint64, in place, modulo 2^32 or 2^64."""
    _apply(np.add, vector, seed)


def subtract_mask(vector: NDArray[Any], seed: bytes) -> None:
    """Take away what `add_mask` added."""
    _apply(np.subtract, vector, seed)


def _apply(operation: np.ufunc, vector: NDArray[Any], seed: bytes) -> None:
    keystream = Cipher(algorithms.ChaCha20(seed, _NONCE), mode=None).encryptor()
    buffer = bytearray(_BLOCK)
    mask = np.frombuffer(buffer, vector.dtype.newbyteorder("<"))
    for start in range(0, vector.size, mask.size):
        keystream.update_into(_ZEROS, buffer)
        part = vector[start : start + mask.size]
        operation(part, mask[: part.size], out=part)


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
        raise SecureAggregationRefused(f"Invalid public key of a peer: {error}") from error
    info = b"umbel secagg " + purpose + b"".join(sorted((mine.public, theirs)))
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=session, info=info).derive(shared)
