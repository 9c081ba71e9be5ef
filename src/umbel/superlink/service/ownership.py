"""Which task a credential stands for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from umbel.errors import Unauthenticated
from umbel.superlink.auth.tokens import Principal, check_attempt
from umbel.superlink.store import tasks


def own_task(connection: Connection, who: Principal, *, for_update: bool = False) -> Row[Any]:
    """The row of the task whose token `who` has. Raises Unauthenticated, or PermissionRefused for an earlier attempt."""
    row = tasks.find(connection, who.task_id, for_update=for_update)
    if row is None:
        raise Unauthenticated("The token is not valid here.")
    check_attempt(who, row.attempt, row.token_hash)
    return row
