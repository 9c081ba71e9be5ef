"""Execution of one client: seeding, captured output, errors as replies."""

from __future__ import annotations

import hashlib
import io
import random
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from umbel.app.context import Context, UserConfig
from umbel.app.message import Error, ErrorCode, Message, failure
from umbel.clientapp.clientapp import ClientFn
from umbel.engine.client_state import RetryWhileDiskFull, StateStore, unpack_state
from umbel.engine.loader import app_traceback

_LONGEST = 8_192  # characters of an incomplete line
Emit = Callable[[str, str], None]  # text, level


class LineCapture(io.TextIOBase):
    """A stream to put in the place of `sys.stdout` or `sys.stderr`: each line that is complete goes to `emit`."""

    def __init__(self, emit: Emit, level: str) -> None:
        """`level` is what the lines count as: INFO or WARNING, say."""
        self._emit = emit
        self._level = level
        self._rest = ""

    def writable(self) -> bool:
        """True: captured output is a writable stream."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8: what an app asks before it prints."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Take `text`; what follows its last line break waits for its rest, unless that is long already."""
        *lines, rest = (self._rest + text).split("\n")
        for line in lines:
            self._emit(_shown(line), self._level)
        self._rest = _shown(rest) + ("\r" if rest.endswith("\r") else "")
        if len(self._rest) >= _LONGEST:
            self.finish()
        return len(text)

    def flush(self) -> None:
        """Nothing is held back but an incomplete line."""

    def finish(self) -> None:
        """Send the incomplete last line."""
        if self._rest:
            self._emit(_shown(self._rest), self._level)
            self._rest = ""


def _shown(line: str) -> str:
    """What a terminal shows of a line that was rewritten, as progress bars do: what follows the last carriage return."""
    return line.rstrip("\r").rpartition("\r")[2]


def derive(*parts: int) -> int:
    """A 63-bit number that mixes `parts`; the same everywhere and in every version."""
    digest = hashlib.blake2b(",".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_everything(seed: int) -> None:
    """Seed the global generators of `random`, NumPy and, where the app has imported it, torch."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002 - what apps use is the global generator
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


def capture() -> bytes:
    """The states of the generators that `seed_everything` seeds, to be given to `restore`."""
    version, words, gauss = random.getstate()
    states: dict[str, Any] = {"random": (version, array("I", words).tobytes(), gauss)}
    kind, key, *rest = np.random.get_state()  # noqa: NPY002 - what apps use is the global generator
    states["numpy"] = (kind, np.asarray(key, np.uint32).tobytes(), *rest)
    torch = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return msgspec.msgpack.encode(states)


def restore(data: bytes) -> None:
    """Put the generators back to where they were at a `capture`. Raises ValueError for what is not one."""
    states = msgspec.msgpack.decode(data)
    version, words, gauss = states["random"]
    random.setstate((version, tuple(array("I", words)), gauss))
    kind, key, *rest = states["numpy"]
    np.random.set_state((kind, np.frombuffer(key, np.uint32), *rest))  # noqa: NPY002 - as above
    torch = sys.modules.get("torch")
    if torch is not None and "torch" in states:
        torch.set_rng_state(torch.frombuffer(bytearray(states["torch"]), dtype=torch.uint8))


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
        self, app: ClientFn, population: Population, states: StateStore, patience: RetryWhileDiskFull | None = None
    ) -> None:
        """`app` is the ClientApp, or any `(message, context) -> message`. `patience` is for a disk without room for states."""
        self._app = app
        self._population = population
        self._states = states
        self._patience = patience or RetryWhileDiskFull()

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
                lambda: _say(f"Node {node_id} is waiting for disk space for its state."),
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
