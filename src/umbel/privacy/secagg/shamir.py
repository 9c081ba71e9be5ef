"""Shamir's secret sharing (1979): any `threshold` shares give the secret, fewer say nothing about it.

A secret is cut into limbs of 30 bits, each a number of the field of integers modulo p = 2^31 - 1. Each limb is the constant term of a
random polynomial of degree threshold - 1; share i holds the values of all polynomials at x = i + 1. All limbs and all shares are
computed at once: products of two numbers of the field fit into 64 bits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

PRIME = (1 << 31) - 1
_LIMB_BITS = 30
Field = NDArray[np.uint64]


def split(secret: bytes, num_shares: int, threshold: int) -> list[bytes]:
    """The shares of a secret, in order; each is a little longer than the secret.

    Raises ValueError unless 1 <= threshold <= num_shares < p.
    """
    if not 1 <= threshold <= num_shares < PRIME:
        raise ValueError(f"Invalid combination: {num_shares} shares with a threshold of {threshold}.")
    limbs = _limbs(secret)
    points = np.arange(1, num_shares + 1, dtype=np.uint64)[:, None]
    values = np.zeros((num_shares, limbs.size), np.uint64)
    for coefficients in [*_uniform(threshold - 1, limbs.size), limbs]:  # Horner's rule, the constant term last
        values = (values * points + coefficients) % np.uint64(PRIME)
    return [share.astype("<u4").tobytes() for share in values]


def join(shares: Mapping[int, bytes], size: int) -> bytes:
    """The secret of `size` bytes, from shares by their position in what `split` gave, at least `threshold` of them.

    Raises ValueError when the shares do not fit together; wrong shares of the right form mostly give a wrong secret instead.
    """
    lengths = {len(share) for share in shares.values()}
    if lengths != {4 * _num_limbs(size)}:
        raise ValueError("The shares do not belong to a secret of this size.")
    values = np.stack([np.frombuffer(share, "<u4") for share in shares.values()]).astype(np.uint64)
    weights = _lagrange(np.array([position + 1 for position in shares], np.uint64))
    limbs = (values * weights[:, None] % np.uint64(PRIME)).sum(axis=0) % np.uint64(PRIME)
    number: int = sum(limb << (_LIMB_BITS * index) for index, limb in enumerate(limbs.tolist()))
    if number >> (8 * size):
        raise ValueError("The shares do not all belong to the same secret.")
    return number.to_bytes(size, "little")


def _lagrange(points: Field) -> Field:
    """What each value is multiplied by, so that the sum is the polynomial at 0."""
    prime = np.uint64(PRIME)
    above, below = np.ones_like(points), np.ones_like(points)
    for index, point in enumerate(points):
        others = np.arange(points.size) != index
        above[others] = above[others] * point % prime
        below[others] = below[others] * ((point + prime - points[others]) % prime) % prime
    return above * _inverse(below) % prime


def _inverse(values: Field) -> Field:
    """1 / value, by Fermat: value^(p - 2)."""
    result, power = np.ones_like(values), values
    for bit in reversed(f"{PRIME - 2:b}"):
        if bit == "1":
            result = result * power % np.uint64(PRIME)
        power = power * power % np.uint64(PRIME)
    return result


def _uniform(*shape: int) -> Field:
    """Uniform numbers of the field, from the system's generator."""
    values = np.frombuffer(os.urandom(4 * int(np.prod(shape))), "<u4").astype(np.uint64) & np.uint64(PRIME)
    while (outside := values == PRIME).any():  # about one in two thousand million
        values[outside] = _uniform(int(outside.sum()))
    return values.reshape(shape)


def _num_limbs(size: int) -> int:
    return -(-8 * size // _LIMB_BITS)


def _limbs(secret: bytes) -> Field:
    number = int.from_bytes(secret, "little")
    mask = (1 << _LIMB_BITS) - 1
    return np.array([number >> (_LIMB_BITS * i) & mask for i in range(_num_limbs(len(secret)))], np.uint64)
