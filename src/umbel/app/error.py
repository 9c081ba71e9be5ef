"""Error: why a message has no content."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class ErrorCode(IntEnum):
    """What kind of failure an error reply reports."""

    UNKNOWN = 0
    LOAD_CLIENT_APP_EXCEPTION = 1
    CLIENT_APP_RAISED_EXCEPTION = 2
    MESSAGE_UNAVAILABLE = 3
    REPLY_MESSAGE_UNAVAILABLE = 4
    NODE_UNAVAILABLE = 5
    MOD_FAILED_PRECONDITION = 6
    INVALID_FAB = 7
    CLIENT_APP_CRASHED = 8
    MALFORMED_REPLY = 20
    TIMED_OUT = 21


class Error(NamedTuple):
    """`code` is one of ErrorCode; `reason` is text for a person, a traceback where there is one."""

    code: int
    reason: str | None = None
