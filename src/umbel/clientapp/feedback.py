"""What a ClientApp says of how far it is with a message, while it serves it."""

from __future__ import annotations

import time
from collections.abc import Callable

Listener = Callable[[float, float, str], None]

_PAUSE = 0.1  # seconds between two that are passed on: a person sees no more


class _Feedback:
    """Whom to tell, and when he was told last."""

    listener: Listener | None = None
    told_at = 0.0


def progress(done: float, total: float = 0.0, unit: str = "steps") -> None:
    """Say that `done` of `total` steps (or what `unit` names; 0: unknown how many) of the message's work are done.

    Shown, at a real site, in what the run waits for. It costs next to nothing, so call it as often as you like.
    """
    now = time.monotonic()
    if _Feedback.listener is not None and (now - _Feedback.told_at >= _PAUSE or done == total):
        _Feedback.told_at = now
        _Feedback.listener(float(done), float(total), unit)


def listen(listener: Listener | None) -> None:
    """Pass on what is said from now on."""
    _Feedback.listener = listener
