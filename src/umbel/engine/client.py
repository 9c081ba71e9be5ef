"""Serves one message to one client: the code between the engine and the author's function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from umbel.app.context import Context, UserConfig
from umbel.app.error import Error, ErrorCode
from umbel.app.message import Message, failure
from umbel.clientapp.clientapp import ClientFn
from umbel.engine.loader import app_traceback
from umbel.engine.patience import Patience
from umbel.engine.seeding import derive, seed_everything
from umbel.engine.state import StateStore, unpack_state


@dataclass(frozen=True)
class Population:
    """The clients of a run: a real site with its `node_config`, or simulated ones.

    Simulated are nodes first_node_id … first_node_id + num_partitions - 1, with partitions 0 … num_partitions - 1.
    """

    run_id: int
    seed: int
    run_config: UserConfig
    first_node_id: int
    num_partitions: int
    node_config: UserConfig | None = None

    def context(self, node_id: int, state: bytes) -> Context:
        """What this client's functions get beside the message."""
        own = self.node_config
        if own is None:
            own = {"partition-id": node_id - self.first_node_id, "num-partitions": self.num_partitions}
        return Context(self.run_id, node_id, dict(own), unpack_state(state), dict(self.run_config))


class ClientServer:
    """Calls a ClientApp for one client after another, each with its own context, state and randomness."""

    def __init__(
        self, app: ClientFn, population: Population, states: StateStore, patience: Patience | None = None
    ) -> None:
        """`app` is the ClientApp, or any `(message, context) -> message`. `patience` is for a disk without room for states."""
        self._app = app
        self._population = population
        self._states = states
        self._patience = patience or Patience()

    @property
    def run_id(self) -> int:
        """The run that all messages belong to."""
        return self._population.run_id

    def serve(self, message: Message, exchange: int, keep_from: int) -> Message:
        """The client's reply; an error reply when it raises or returns nonsense. Its state is kept unless it failed.

        Raises StorageFull when there is no room for the state, and none comes.
        """
        node_id = message.metadata.dst_node_id
        before = self._states.load(node_id, exchange)
        context = self._population.context(node_id, before)
        seed_everything(derive(self._population.seed, node_id, exchange))
        reply = answer(self._app, message, context)
        if reply.has_content():
            self._patience(
                lambda: self._states.save(node_id, exchange, context.state, before, keep_from),
                lambda: _say(f"Node {node_id} waits for room on the disk for what it keeps."),
            )
        return reply


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def answer(app: Callable[[Message, Context], object], message: Message, context: Context) -> Message:
    """What `app` answers, or an error reply with the traceback of what it raised or with what is wrong with its answer."""
    try:
        reply = app(message, context)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary to the author's code
        return _failed(message, app_traceback(error))
    if not isinstance(reply, Message):
        return _failed(message, f"The ClientApp returned {type(reply).__name__} instead of a Message.")
    if not (reply.has_content() or reply.has_error()):
        return _failed(message, "The ClientApp returned a Message without content.")
    reply.metadata.src_node_id = message.metadata.dst_node_id
    reply.metadata.reply_to_message_id = message.metadata.message_id
    return reply


def _failed(message: Message, reason: str) -> Message:
    return failure(message, Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason))
