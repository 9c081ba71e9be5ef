"""Remove objects that nothing refers to."""

from __future__ import annotations

from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.store import references
from umbel.superlink.store.database import Transaction

_GRACE = 24 * 3600.0  # seconds; a bundle is put a moment before its run


def drop_orphans(transaction: Transaction, objects: ObjectDirectory) -> None:
    """Drop old objects without a reference: what a crash between a commit and the removal has left."""
    references.drop_unreferenced(transaction, objects.older_than(_GRACE))
