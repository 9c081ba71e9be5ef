"""`flwr.app.exception` and `flwr.serverapp.exception`: the exceptions that apps catch and raise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from umbel.errors import AggregationFailed, AppError, InconsistentReplies

AppExitException = AppError


class InconsistentMessageReplies(InconsistentReplies):
    """The clients' replies are inconsistent."""

    def __init__(self, reason: str) -> None:
        """`reason` is the explanation."""
        super().__init__(reason)


class AggregationError(AggregationFailed):
    """The strategy could not aggregate the clients' replies."""

    def __init__(self, reason: str) -> None:
        """`reason` is the explanation."""
        super().__init__(reason)


@contextmanager
def under_flowers_names() -> Iterator[None]:
    """Convert exceptions of Umbel's strategies to those of this module."""
    try:
        yield
    except InconsistentReplies as error:
        raise InconsistentMessageReplies(str(error)) from error
    except AggregationFailed as error:
        raise AggregationError(str(error)) from error


__all__ = ["AggregationError", "AppExitException", "InconsistentMessageReplies"]

MISSING = {
    "ExitCode": "processes end with the codes in docs/reference/errors.md.",
    "PrivacyBudgetExhausted": "a budget is set on the strategy; see docs/explanation/differential-privacy.md.",
}
