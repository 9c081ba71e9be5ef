"""Context, and resources that live as long as an app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from umbel.app.recorddict import RecordDict

UserConfigValue = bool | float | int | str
UserConfig = dict[str, UserConfigValue]


@dataclass
class Context:
    """The run, the node, their settings, and a state that stays.

    `node_config` holds `partition-id` (0 … num-partitions - 1) and `num-partitions` in a simulation. `state` belongs to
    this node in this run: what a ClientApp writes there it finds again in the next round.
    """

    run_id: int
    node_id: int
    node_config: UserConfig = field(default_factory=dict)
    state: RecordDict = field(default_factory=RecordDict)
    run_config: UserConfig = field(default_factory=dict)


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
