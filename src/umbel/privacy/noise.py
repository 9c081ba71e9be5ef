"""Gaussian noise that nobody can predict without its key.

A key gives a stream of bits, SHAKE-128 (FIPS 202) over key, label and the number of the block, and Box and Muller's transform makes pairs of
independent normal numbers of it: of uniform u₁ in (0, 1] and u₂ in [0, 1), √(-2 ln u₁) · cos 2πu₂ and √(-2 ln u₁) · sin 2πu₂. u₁ has 53
bits, so no number is beyond ±8.6. The same key and label give the same noise on every machine with the same NumPy, which is how
a run that is resumed adds the same noise to the same sum instead of showing it twice under different noise.

The numbers are floating-point ones: that a real-valued mechanism's lowest bits may tell more than the theory says (Mironov 2012,
doi:10.1145/2382196.2382264) is not guarded against.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 32_768  # numbers made at a time
_UNIT = 2.0**-53


def new_key(seed: int | None = None) -> bytes:
    """A key of 32 bytes from the operating system's generator; from `seed` in tests, where the noise then protects nothing."""
    return secrets.token_bytes(32) if seed is None else derive(b"umbel-seed", str(seed).encode())


def derive(key: bytes, label: bytes) -> bytes:
    """A key of 32 bytes that belongs to `label`. Neither `key` nor another label's key can be found from it."""
    return hashlib.blake2b(label, key=key, digest_size=32).digest()


def normal(key: bytes, label: bytes, size: int) -> NDArray[np.float64]:
    """`size` independent standard normal numbers."""
    target = np.zeros(size)
    add_gaussian(target, 1.0, key, label)
    return target


def add_gaussian(target: NDArray[Any], stddev: float, key: bytes, label: bytes) -> None:
    """Add independent noise of this standard deviation to each element of `target` (float32 or float64, one-dimensional), in place.

    A label is used once for a key: the same two give the same noise.
    """
    if stddev == 0:
        return
    for number, start in enumerate(range(0, target.size, _BLOCK)):
        block = target[start : start + _BLOCK]
        noise = _normal_block(derive(key, label + b"/%d" % number))[: block.size]
        np.multiply(noise, stddev, out=noise)
        np.add(block, noise, out=block, casting="same_kind")


def _normal_block(key: bytes) -> NDArray[np.float64]:
    words = np.frombuffer(hashlib.shake_128(key).digest(8 * _BLOCK), dtype="<u8")
    uniform = (words >> np.uint64(11)).astype(np.float64)  # whole numbers below 2^53
    radius, angle = np.split(uniform, 2)
    np.log((radius + 1.0) * _UNIT, out=radius)
    np.sqrt(-2.0 * radius, out=radius)
    angle *= 2.0 * np.pi * _UNIT
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
