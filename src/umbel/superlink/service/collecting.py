"""Remove objects that nothing refers to."""

from __future__ import annotations

from collections.abc import Collection

from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.store import references
from umbel.superlink.store.database import Transaction

_GRACE = 24 * 3600.0  # seconds; a bundle is put a moment before its run


def remove(transaction: Transaction, digests: Collection[str], objects: ObjectDirectory) -> None:
    """Remove the files of those of some objects that nothing refers to, and nothing can meanwhile."""
    transaction.guard_objects(removes=True)
    for part in references.parts(digests):
        for digest in set(part) - references.referenced(transaction.connection, part):
            objects.remove(digest)


def drop_orphans(transaction: Transaction, objects: ObjectDirectory) -> None:
    """Drop old objects without a reference: what a crash between a commit and the removal has left."""
    references.drop_unreferenced(transaction, objects.older_than(_GRACE))
