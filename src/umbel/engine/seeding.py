"""Randomness that depends on the run, the client and the exchange, and on nothing else."""

from __future__ import annotations

import hashlib
import random
import sys

import numpy as np


def derive(*parts: int) -> int:
    """A 63-bit number that mixes `parts`; the same everywhere and in every version."""
    digest = hashlib.blake2b(",".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_everything(seed: int) -> None:
    """Seed the global generators of `random`, NumPy and, where the app has imported it, torch."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002 - what apps use is the global generator
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
