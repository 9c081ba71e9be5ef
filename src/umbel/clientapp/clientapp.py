"""ClientApp: registration of message handlers, order of mods, progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, TypeVar

from umbel.app.context import Context, LifespanFn, lifespan
from umbel.app.message import Message
from umbel.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])
_STAGES = "umbel_stages"


class Stage(IntEnum):
    """Effects of mods on a reply, in the order in which they must happen."""

    CLIP = 1
    NOISE = 2
    MASK = 3


_VERBS = {Stage.CLIP: "clips", Stage.NOISE: "adds noise", Stage.MASK: "masks"}


def staged(*stages: Stage) -> Callable[[F], F]:
    """Declare the stages of a mod, in order. A mod without stages may have any position.

    >>> @staged(Stage.MASK)
    ... def my_mod(message, context, call_next): ...
    """

    def declare(mod: F) -> F:
        setattr(mod, _STAGES, stages)
        return mod

    return declare


def check_order(mods: Sequence[Callable[..., Any]]) -> None:
    """Raise ConfigError if a reply would pass these mods (the first is outermost) in an invalid order, or one stage twice."""
    done: tuple[Stage, Callable[..., Any]] | None = None
    for mod in reversed(mods):
        stages: tuple[Stage, ...] = getattr(mod, _STAGES, ())
        if stages and done is not None and stages[0] <= done[0]:
            raise _wrong(mods, mod, stages[0], done)
        if stages:
            done = stages[-1], mod


def _wrong(
    mods: Sequence[Callable[..., Any]], mod: Callable[..., Any], stage: Stage, done: tuple[Stage, Callable[..., Any]]
) -> ConfigError:
    names = ", ".join(_name(each) for each in mods)
    return ConfigError(
        f"Wrong order of mods [{names}]: {_name(mod)} {_VERBS[stage]} after {_name(done[1])} {_VERBS[done[0]]}.",
        hint="A reply passes the last mod first. It must be clipped, then noised, then masked, once each: mods=[mask, noise, clip].",
    )


def _name(mod: Callable[..., Any]) -> str:
    return str(getattr(mod, "__name__", type(mod).__name__))


Listener = Callable[[float, float, str], None]

_PAUSE = 0.1  # seconds between two that are passed on: a person sees no more


class _Feedback:
    """The listener for progress reports, and the time of its last report."""

    listener: Listener | None = None
    told_at = 0.0


def progress(done: float, total: float = 0.0, unit: str = "steps") -> None:
    """Report the progress of the work on the current message.

    Deployed runs show it in their status. A call is cheap, so an app may call it after every step.

    Args:
        done: number of completed steps.
        total: number of all steps; 0 if it is unknown.
        unit: name of the steps in the plural, such as "batches".

    Example:
        >>> for number, batch in enumerate(batches, start=1):
        ...     progress(number, total=len(batches), unit="batches")
    """
    now = time.monotonic()
    if _Feedback.listener is not None and (now - _Feedback.told_at >= _PAUSE or done == total):
        _Feedback.told_at = now
        _Feedback.listener(float(done), float(total), unit)


def listen(listener: Listener | None) -> None:
    """Set the listener for progress reports; None removes it."""
    _Feedback.listener = listener


ClientFn = Callable[[Message, Context], Message]
Mod = Callable[[Message, Context, ClientFn], Message]
_DEFAULT_ACTION = "default"


class ClientApp:
    """The functions that handle messages at a client, each `(message, context) -> message`, registered with decorators.

    Args:
        mods: wrappers for all functions; the first is outermost. The mods of a single function are inside them.

    Raises:
        ConfigError: by a decorator, if one mod would undo the effect of another in the given order.

    Example:
    >>> app = ClientApp()
    >>> @app.train()
    ... def train(message: Message, context: Context) -> Message: ...
    """

    def __init__(self, *, mods: Sequence[Mod] | None = None) -> None:
        """Create an app without functions."""
        self._mods: list[Mod] = list(mods or [])
        self._functions: dict[str, ClientFn] = {}
        self._lifespan: LifespanFn | None = None

    def train(
        self, action: str = _DEFAULT_ACTION, *, mods: Sequence[Mod] | None = None
    ) -> Callable[[ClientFn], ClientFn]:
        """Register the handler of `train` messages, or of `train.<action>` messages."""
        return self._register("train", action, mods)

    def evaluate(
        self, action: str = _DEFAULT_ACTION, *, mods: Sequence[Mod] | None = None
    ) -> Callable[[ClientFn], ClientFn]:
        """Register the handler of `evaluate` messages, or of `evaluate.<action>` messages."""
        return self._register("evaluate", action, mods)

    def query(
        self, action: str = _DEFAULT_ACTION, *, mods: Sequence[Mod] | None = None
    ) -> Callable[[ClientFn], ClientFn]:
        """Register the handler of `query` messages, or of `query.<action>` messages."""
        return self._register("query", action, mods)

    def lifespan(self) -> Callable[[LifespanFn], LifespanFn]:
        """Register a generator function of the context that wraps every call and yields exactly once."""

        def register(fn: LifespanFn) -> LifespanFn:
            if self._lifespan is not None:
                raise ValueError("This ClientApp already has a lifespan function.")
            self._lifespan = fn
            return fn

        return register

    def _register(self, category: str, action: str, mods: Sequence[Mod] | None) -> Callable[[ClientFn], ClientFn]:
        if not action.isidentifier():
            raise ValueError(f"Invalid action {action!r}: an action must be a Python identifier.")
        name = _function_name(category, action)
        stack = [*self._mods, *(mods or [])]
        check_order(stack)

        def register(fn: ClientFn) -> ClientFn:
            if name in self._functions:
                raise ValueError(f"This ClientApp already has a function for {name!r} messages.")
            self._functions[name] = wrap(fn, stack)
            return fn

        return register

    def __call__(self, message: Message, context: Context) -> Message:
        """Handle a message and return the reply. Raises ValueError if no function is registered for its type."""
        fn = self.function_for(message.metadata.message_type)
        if self._lifespan is None:
            return fn(message, context)
        with lifespan(self._lifespan, context):
            return fn(message, context)

    def function_for(self, message_type: str) -> ClientFn:
        """The handler of messages of this type, wrapped in its mods. Raises ValueError if there is none."""
        fn = self._functions.get(message_type) or self._functions.get(message_type.removesuffix(f".{_DEFAULT_ACTION}"))
        if fn is None:
            known = ", ".join(sorted(self._functions)) or "none"
            raise ValueError(f"This ClientApp has no function for {message_type!r} messages; it has: {known}.")
        return fn


def _function_name(category: str, action: str) -> str:
    return category if action == _DEFAULT_ACTION else f"{category}.{action}"


def wrap(fn: ClientFn, mods: Sequence[Mod]) -> ClientFn:
    """`fn` inside `mods`, the first outermost."""
    for mod in reversed(mods):
        fn = _within(mod, fn)
    return fn


def _within(mod: Mod, inner: ClientFn) -> ClientFn:
    return lambda message, context: mod(message, context, inner)
