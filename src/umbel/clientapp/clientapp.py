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
    """What a mod does to a reply, in the order in which it must happen."""

    CLIP = 1
    NOISE = 2
    MASK = 3


_VERBS = {Stage.CLIP: "clips", Stage.NOISE: "adds noise", Stage.MASK: "masks"}


def staged(*stages: Stage) -> Callable[[F], F]:
    """Say of a mod which stages it does, in order. A mod without any may stand anywhere.

    >>> @staged(Stage.MASK)
    ... def my_mod(message, context, call_next): ...
    """

    def declare(mod: F) -> F:
        setattr(mod, _STAGES, stages)
        return mod

    return declare


def check_order(mods: Sequence[Callable[..., Any]]) -> None:
    """Raise ConfigError when a reply would pass these mods, the first of them outermost, in a wrong order, or one stage twice."""
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


ClientFn = Callable[[Message, Context], Message]
Mod = Callable[[Message, Context, ClientFn], Message]
_DEFAULT_ACTION = "default"


class ClientApp:
    """Functions that answer messages, each `(message, context) -> message`, registered with decorators.

    `mods` wrap every function, the first given outermost; the mods of one function come inside them. A decorator raises ConfigError for
    mods in an order that would undo what they do: see `umbel.clientapp.clientapp`.

    >>> app = ClientApp()
    >>> @app.train()
    ... def train(message: Message, context: Context) -> Message: ...
    """

    def __init__(self, *, mods: Sequence[Mod] | None = None) -> None:
        """An app without functions yet."""
        self._mods: list[Mod] = list(mods or [])
        self._functions: dict[str, ClientFn] = {}
        self._lifespan: LifespanFn | None = None

    def train(
        self, action: str = _DEFAULT_ACTION, *, mods: Sequence[Mod] | None = None
    ) -> Callable[[ClientFn], ClientFn]:
        """Register the function that answers `train` messages, or `train.<action>` ones."""
        return self._register("train", action, mods)

    def evaluate(
        self, action: str = _DEFAULT_ACTION, *, mods: Sequence[Mod] | None = None
    ) -> Callable[[ClientFn], ClientFn]:
        """Register the function that answers `evaluate` messages, or `evaluate.<action>` ones."""
        return self._register("evaluate", action, mods)

    def query(
        self, action: str = _DEFAULT_ACTION, *, mods: Sequence[Mod] | None = None
    ) -> Callable[[ClientFn], ClientFn]:
        """Register the function that answers `query` messages, or `query.<action>` ones."""
        return self._register("query", action, mods)

    def lifespan(self) -> Callable[[LifespanFn], LifespanFn]:
        """Register a generator of the context that runs around every call: it must yield exactly once."""

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
        """The answer of the function registered for this type of message. Raises ValueError when there is none."""
        fn = self.function_for(message.metadata.message_type)
        if self._lifespan is None:
            return fn(message, context)
        with lifespan(self._lifespan, context):
            return fn(message, context)

    def function_for(self, message_type: str) -> ClientFn:
        """The function, within its mods, that answers messages of this type. Raises ValueError when there is none."""
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
