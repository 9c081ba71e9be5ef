"""`flwr.app.exception` and `flwr.serverapp.exception`: what ends an app, under the names that apps catch and raise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from umbel.errors import AggregationFailed, AppError, InconsistentReplies

AppExitException = AppError


class InconsistentMessageReplies(InconsistentReplies):
    """The clients' replies do not fit together."""

    def __init__(self, reason: str) -> None:
        """`reason` says why."""
        super().__init__(reason)


class AggregationError(AggregationFailed):
    """The strategy could not aggregate the clients' replies."""

    def __init__(self, reason: str) -> None:
        """`reason` says why."""
        super().__init__(reason)


@contextmanager
def under_flowers_names() -> Iterator[None]:
    """What Umbel's strategies raise comes out as one of these."""
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
