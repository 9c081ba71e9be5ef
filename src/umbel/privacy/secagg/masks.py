"""Masks: uniform vectors that a 32-byte seed stands for (the ChaCha20 keystream, RFC 8439)."""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

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
