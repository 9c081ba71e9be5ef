"""Messages between clients and server in the four stages of a secure aggregation, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple


class Stage(StrEnum):
    """The exchanges of a session, in order; each is a message to the nodes that are still there, and their replies."""

    SETUP = "setup"
    SHARE = "share"
    MASK = "mask"
    UNMASK = "unmask"


class PublicKeys(NamedTuple):
    """SETUP, from a node: the public keys for what it seals, and for its masks."""

    sealing: bytes
    masking: bytes


@dataclass(frozen=True)
class Shares:
    """SHARE, from a node: for each neighbour its sealed shares; and the digests of all shares, by holder (the node itself included)."""

    sealed: dict[int, bytes]
    digests: dict[int, bytes]


@dataclass(frozen=True)
class Question:
    """UNMASK, to a node: whose mask seeds (their inputs are in the sum) and whose masking keys (they dropped out) it has to give shares of."""

    present: tuple[int, ...]
    gone: tuple[int, ...]


def digest(session: bytes, owner: int, holder: int, seed_share: bytes, key_share: bytes) -> bytes:
    """What binds an owner to the two shares it gave a holder: one SHA-256 for each, 64 bytes. It reveals nothing about shares that cannot be guessed."""
    place = session + owner.to_bytes(8, "big") + holder.to_bytes(8, "big")
    return sha256(b"seed" + place + seed_share).digest() + sha256(b"key " + place + key_share).digest()
