"""Randomness that depends on the run, the client and the exchange, and on nothing else."""

from __future__ import annotations

import hashlib
import random
import sys
from array import array
from typing import Any

import msgspec
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


def capture() -> bytes:
    """The states of the generators that `seed_everything` seeds, to be given to `restore`."""
    version, words, gauss = random.getstate()
    states: dict[str, Any] = {"random": (version, array("I", words).tobytes(), gauss)}
    kind, key, *rest = np.random.get_state()  # noqa: NPY002 - what apps use is the global generator
    states["numpy"] = (kind, np.asarray(key, np.uint32).tobytes(), *rest)
    torch = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return msgspec.msgpack.encode(states)


def restore(data: bytes) -> None:
    """Put the generators back to where they were at a `capture`. Raises ValueError for what is not one."""
    states = msgspec.msgpack.decode(data)
    version, words, gauss = states["random"]
    random.setstate((version, tuple(array("I", words)), gauss))
    kind, key, *rest = states["numpy"]
    np.random.set_state((kind, np.frombuffer(key, np.uint32), *rest))  # noqa: NPY002 - as above
    torch = sys.modules.get("torch")
    if torch is not None and "torch" in states:
        torch.set_rng_state(torch.frombuffer(bytearray(states["torch"]), dtype=torch.uint8))
