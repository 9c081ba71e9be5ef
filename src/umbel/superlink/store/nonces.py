"""Nonces of signed requests, shared by the SuperLinks on one database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, select

from umbel.superlink.store import tables
from umbel.superlink.store.database import Transaction

_nonce = tables.nonce


class Used(NamedTuple):
    """A nonce, with the key that used it, and when (seconds since the epoch)."""

    key: str
    nonce: str
    created: int


def use(transaction: Transaction, used: Sequence[Used], owner: int) -> set[Used]:
    """Keep nonces for `owner`; returns those that were new, or were kept for the same owner before: a write may come again."""
    rows = [
        one._asdict() | {"owner": owner} for one in sorted(used)
    ]  # in one order, so that no two writers block each other
    transaction.insert_new(_nonce, rows)
    query = select(_nonce.c.key, _nonce.c.nonce, _nonce.c.created).where(_nonce.c.owner == owner)
    return {Used(*row) for row in transaction.execute(query)}


def forget(transaction: Transaction, before: float) -> None:
    """Drop the nonces that were created before a moment: their requests are too old to be accepted."""
    transaction.execute(delete(_nonce).where(_nonce.c.created < before))
