"""ClientApp: what runs at a site, beside the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from umbel.app.context import Context
from umbel.app.lifespan import LifespanFn, lifespan
from umbel.app.message import Message
from umbel.clientapp.modorder import check_order

ClientFn = Callable[[Message, Context], Message]
Mod = Callable[[Message, Context, ClientFn], Message]
_DEFAULT_ACTION = "default"


class ClientApp:
    """Functions that answer messages, each `(message, context) -> message`, registered with decorators.

    `mods` wrap every function, the first given outermost; the mods of one function come inside them. A decorator raises ConfigError for
    mods in an order that would undo what they do: see `umbel.clientapp.modorder`.

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
                raise ValueError("This ClientApp has a lifespan function already.")
            self._lifespan = fn
            return fn

        return register

    def _register(self, category: str, action: str, mods: Sequence[Mod] | None) -> Callable[[ClientFn], ClientFn]:
        if not action.isidentifier():
            raise ValueError(f"Bad action {action!r}: an action must be a Python identifier.")
        name = _function_name(category, action)
        stack = [*self._mods, *(mods or [])]
        check_order(stack)

        def register(fn: ClientFn) -> ClientFn:
            if name in self._functions:
                raise ValueError(f"This ClientApp has a function for {name!r} messages already.")
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
