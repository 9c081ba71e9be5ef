"""Bearer tokens. The local user's is a file; a SuperExec's is in its environment; a task's is stored as a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Literal

import msgspec

from umbel._os import replace_file
from umbel.errors import PermissionRefused, Unauthenticated

Role = Literal["user", "executor", "task", "node"]
_HINT = "Local tools read the token from UMBEL_HOME/local/token: check that UMBEL_HOME is that of the SuperLink."


class Principal(msgspec.Struct, frozen=True):
    """Who sends a request. A task's claims are still to be checked against the database (`check_attempt`)."""

    role: Role
    task_id: int = 0
    attempt: int = 0
    token_hash: str = ""
    node_id: int = 0  # 0: a node that is not known yet and registers itself
    public_key: str = ""  # of a node, as `wire.credentials.node_keyid` names it


def local_token(path: Path) -> str:
    """The local user's token, created at the first use with mode 0600 in a directory with mode 0700."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    token = secrets.token_urlsafe(32)
    replace_file(path, token.encode())
    return token


def task_token(task_id: int, attempt: int) -> tuple[str, str]:
    """A new token for one attempt of a task, and the hash to store."""
    token = f"{task_id}.{attempt}.{secrets.token_urlsafe(32)}"
    return token, _hash(token)


def identify(authorization: str, user_token: str, executor_token: str) -> Principal:
    """Whose credential an `Authorization` header carries. Raises Unauthenticated."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("The request carries no token.", hint=_HINT)
    if _same(token, user_token):
        return Principal("user")
    if _same(token, executor_token):
        return Principal("executor")
    match token.split("."):
        case [task_id, attempt, _] if (
            task_id.isascii() and task_id.isdigit() and attempt.isascii() and attempt.isdigit()
        ):
            return Principal("task", int(task_id[:20]), int(attempt[:10]), _hash(token))
    raise Unauthenticated("The token is not valid for this SuperLink.", hint=_HINT)


def require(principal: Principal, *roles: Role) -> None:
    """Raises PermissionRefused unless the principal has one of the roles."""
    if principal.role not in roles:
        raise PermissionRefused(f"The credential of a {principal.role} does not allow this: {' or '.join(roles)} only.")


def require_task(principal: Principal, task_id: int) -> None:
    """Raises PermissionRefused unless the credential is that of this task."""
    require(principal, "task")
    if principal.task_id != task_id:
        raise PermissionRefused("The token belongs to another task.")


def check_attempt(principal: Principal, attempt: int, token_hash: str | None) -> None:
    """Check a task's token against the attempt that the database knows.

    Raises Unauthenticated for a made-up token, PermissionRefused for an earlier attempt's.
    """
    if principal.attempt != attempt:
        raise PermissionRefused(f"Attempt {principal.attempt} of the task is over.")
    if token_hash is None or not _same(principal.token_hash, token_hash):
        raise Unauthenticated("The token is not valid for this SuperLink.")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
