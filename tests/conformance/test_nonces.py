"""Nonces in the store: each is new once, for all owners together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from umbel.superlink.store import nodes
from umbel.superlink.store.database import Database
from umbel.superlink.store.nodes import Used


def use(db: Database, used: list[Used], owner: int) -> set[Used]:
    """Keep nonces, in a separate transaction."""
    return db.write(lambda transaction: nodes.use(transaction, used, owner))


def test_a_nonce_is_new_once(db: Database) -> None:
    """The second owner gets only those that the first one does not have; another key has separate nonces."""
    first = [Used("a", "1", 10), Used("a", "2", 10)]
    second = [Used("a", "2", 10), Used("a", "3", 10), Used("b", "1", 10)]
    assert use(db, first, owner=1) == set(first)
    assert use(db, second, owner=2) == set(second[1:])


def test_a_write_that_comes_again_is_no_replay(db: Database) -> None:
    """A transaction that was committed, but whose answer was lost, gives the same when it is tried again."""
    used = [Used("a", "1", 10)]
    assert use(db, used, owner=1) == use(db, used, owner=1) == set(used)


def test_old_nonces_are_dropped(db: Database) -> None:
    """What was created before the given moment is gone, the rest is kept."""
    use(db, [Used("a", "old", 10), Used("a", "new", 20)], owner=1)
    db.write(lambda transaction: nodes.forget(transaction, 15.0))
    assert use(db, [Used("a", "old", 10), Used("a", "new", 20)], owner=2) == {Used("a", "old", 10)}


def test_of_many_that_bring_the_same_one_wins(db: Database) -> None:
    """Eight writers at the same time: each nonce is new for one of them."""
    used = [Used("a", str(number), 10) for number in range(20)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda owner: use(db, used[owner:] + used[:owner], owner), range(8)))
    assert sorted(one for new in found for one in new) == sorted(used)
