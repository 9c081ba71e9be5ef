"""Plays a secure aggregation in memory: some nodes drop out at some stage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.privacy.secagg import client
from umbel.privacy.secagg.client import ClientSession
from umbel.privacy.secagg.parameters import Parameters
from umbel.privacy.secagg.server import ServerSession

STAGES = 4
SESSION = bytes(range(16))
Vectors = dict[int, NDArray[Any]]


@dataclass
class Played:
    """What came out: the sum (masked when the last step failed), who is in it, and what each client keeps."""

    total: NDArray[Any]
    present: list[int] = field(default_factory=list)
    states: dict[int, ClientSession] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def play(
    vectors: Vectors,
    parameters: Parameters,
    leaves: Mapping[int, int],
    tamper: Callable[[int, dict[int, bytes]], Mapping[int, bytes]] = lambda _, shares: shares,
    total: NDArray[Any] | None = None,
) -> Played:
    """One session. `leaves[node]` is the stage (0 to 3) whose answer the node does not give any longer; `tamper` changes what it reveals.

    The inputs are added to `total`.
    """

    def stay(nodes: Collection[int], stage: int) -> list[int]:
        return [node for node in nodes if leaves.get(node, STAGES) > stage]

    server = ServerSession(SESSION, parameters)
    played = Played(np.zeros_like(next(iter(vectors.values()))) if total is None else total)
    states = played.states = {node: client.set_up(SESSION, node) for node in stay(vectors, 0)}
    peers = server.publish({node: state.public_keys() for node, state in states.items()})
    routed = server.route({node: client.share(states[node], peers[node], parameters) for node in stay(peers, 1)})
    played.present = stay(routed, 2)
    for node in played.present:
        masked = vectors[node].copy()
        client.mask(states[node], routed[node], masked)
        played.total += masked
    questions = server.ask(played.present)
    revealed = {node: tamper(node, client.unmask(states[node], questions[node])) for node in stay(questions, 3)}
    server.unmask(revealed, played.total)
    played.refused = server.refused
    return played


def vectors_of(num_nodes: int, size: int, dtype: str = "uint64", seed: int = 0) -> Vectors:
    """A vector of any values for each of the nodes, whose ids are large and in no order."""
    rng = np.random.default_rng(seed)
    ids = rng.choice(2**62, num_nodes, replace=False).tolist()
    top = int(np.iinfo(dtype).max)
    return {node: rng.integers(0, top, size, dtype, endpoint=True) for node in ids}


def plain_sum(vectors: Vectors, nodes: Collection[int]) -> NDArray[Any]:
    """The sum modulo 2^32 or 2^64 that the nodes' vectors have."""
    total: NDArray[Any] = np.sum([vectors[node] for node in nodes], axis=0, dtype=next(iter(vectors.values())).dtype)
    return total
