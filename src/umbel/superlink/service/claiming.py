"""Hand tasks out, and take them back."""

from __future__ import annotations

from umbel.superlink.auth.tokens import task_token
from umbel.superlink.domain.task import Claim, LeaseLost
from umbel.superlink.service.transitions import apply
from umbel.superlink.store import tasks
from umbel.superlink.store.database import Transaction
from umbel.wire.api import ClaimedTask, ClaimTask


def claim(transaction: Transaction, request: ClaimTask, now: float) -> ClaimedTask | None:
    """The oldest task that waits, with a token for this attempt; None when there is none."""
    row = tasks.oldest_created(transaction.connection, request.kinds)
    if row is None:
        return None
    token, token_hash = task_token(row.task_id, row.attempt)
    tasks.change(transaction, row.task_id, {"executor": request.executor, "token_hash": token_hash})
    apply(transaction, row, Claim(request.executor), now)
    return ClaimedTask(task_id=row.task_id, run_id=row.run_id, kind=row.kind, attempt=row.attempt, token=token)


def lose(transaction: Transaction, task_ids: list[int], seconds: float, now: float) -> None:
    """The leases of these tasks have run out after `seconds` of silence."""
    for task_id in task_ids:
        apply(transaction, tasks.get(transaction.connection, task_id, for_update=True), LeaseLost(seconds), now)
