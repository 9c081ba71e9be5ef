"""Context of an app, and resources bound to its lifetime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from umbel.app.recorddict import RecordDict

UserConfigValue = bool | float | int | str
UserConfig = dict[str, UserConfigValue]


@dataclass
class Context:
    """The run and the node of an app, their settings, and the state of the node.

    In a simulation, `node_config` contains `partition-id` (0 … num-partitions - 1) and `num-partitions`. `state` belongs to
    one node in one run and persists between messages: a ClientApp finds there in the next round what it stored.
    """

    run_id: int
    node_id: int
    node_config: UserConfig = field(default_factory=dict)
    state: RecordDict = field(default_factory=RecordDict)
    run_config: UserConfig = field(default_factory=dict)


LifespanFn = Callable[[Context], Iterator[None]]


@contextmanager
def lifespan(fn: LifespanFn | None, context: Context) -> Iterator[None]:
    """Run `fn` up to its `yield`, then the body of the `with` statement, then the rest of `fn`, even if the body raises.

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
