"""What runs around an app's function: set-up before the `yield`, clean-up after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from umbel.app.context import Context

LifespanFn = Callable[[Context], Iterator[None]]


@contextmanager
def lifespan(fn: LifespanFn | None, context: Context) -> Iterator[None]:
    """Run the code before the `yield` of `fn`, the body of the `with`, then the code after it, also when the body fails.

    Raises RuntimeError unless `fn` is a generator function that yields exactly once.
    """
    if fn is None:
        yield
        return
    steps = fn(context)
    if not isinstance(steps, Iterator):
        raise RuntimeError(f"The lifespan function {_name(fn)} must be a generator: it needs one `yield`.")
    if next(steps, _ENDED) is _ENDED:
        raise RuntimeError(f"The lifespan function {_name(fn)} did not yield: it must yield exactly once.")
    try:
        yield
    finally:
        if next(steps, _ENDED) is not _ENDED:
            raise RuntimeError(f"The lifespan function {_name(fn)} yielded more than once: it must yield exactly once.")


_ENDED = object()


def _name(fn: LifespanFn) -> str:
    return getattr(fn, "__name__", repr(fn))
