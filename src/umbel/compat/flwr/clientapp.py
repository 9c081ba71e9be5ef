"""`flwr.clientapp`: the ClientApp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from umbel.app.context import Context
from umbel.app.message import Message
from umbel.clientapp import clientapp
from umbel.clientapp.clientapp import ClientFn, Mod, check_order, wrap
from umbel.compat.flwr.records import adopt, adopt_content

__all__ = ["ClientApp"]


class ClientApp(clientapp.ClientApp):
    """A ClientApp, optionally created from a `client_fn` of the older API; otherwise like `umbel.clientapp.ClientApp`."""

    def __init__(self, client_fn: Callable[[Any], Any] | None = None, mods: Sequence[Mod] | None = None) -> None:
        """`client_fn(context)` creates the client for each message and excludes registered functions."""
        super().__init__(mods=mods)
        self._legacy: ClientFn | None = None
        if client_fn is not None:
            from umbel.compat.flwr.legacy.clientapp import handler

            check_order(self._mods)
            self._legacy = wrap(handler(client_fn), self._mods)

    def _register(self, category: str, action: str, mods: Sequence[Mod] | None) -> Callable[[ClientFn], ClientFn]:
        if self._legacy is not None:
            raise ValueError("This ClientApp has a `client_fn`, so no function can be registered.")
        return super()._register(category, action, mods)

    def function_for(self, message_type: str) -> ClientFn:
        """The handler of messages of this type, wrapped in its mods. Raises ValueError if there is none."""
        return self._legacy or super().function_for(message_type)

    def __call__(self, message: Message, context: Context) -> Message:
        """Handle a message and return the reply. Raises ValueError if no function is registered for its type."""
        adopt_content(context.state)
        return super().__call__(adopt(message), context)
