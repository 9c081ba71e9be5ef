"""The client's side of a secure aggregation: four steps, each from the state the one before has left.

No step does any I/O. The state of a client between steps consists of plain values that the caller can store anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from umbel.errors import SecureAggregationRefused
from umbel.privacy.secagg import shamir
from umbel.privacy.secagg.keys import KEY_BYTES, KeyPair, add_mask, agree, key_pair, seal, subtract_mask, unseal
from umbel.privacy.secagg.messages import PublicKeys, Question, Shares, Stage, digest
from umbel.privacy.secagg.parameters import Parameters


@dataclass
class ClientSession:
    """What a client remembers of one session. All of it is secret, and worthless once the session has ended."""

    session: bytes
    node_id: int
    done: Stage
    sealing: KeyPair
    masking: KeyPair
    seed: bytes  # of the mask that is the client's own
    threshold: int = 0
    peers: dict[int, PublicKeys] = field(default_factory=dict)  # the neighbours
    seed_shares: dict[int, bytes] = field(default_factory=dict)  # by owner, the client itself included
    key_shares: dict[int, bytes] = field(default_factory=dict)  # by owner

    def public_keys(self) -> PublicKeys:
        """What the other clients have to know."""
        return PublicKeys(self.sealing.public, self.masking.public)


def set_up(session: bytes, node_id: int) -> ClientSession:
    """SETUP: draw two key pairs and the seed of the own mask."""
    return ClientSession(session, node_id, Stage.SETUP, key_pair(), key_pair(), os.urandom(KEY_BYTES))


def share(state: ClientSession, peers: Mapping[int, PublicKeys], parameters: Parameters) -> Shares:
    """SHARE: cut the seed and the masking key into shares, one for each of the `peers` (the neighbours) and for itself, and seal them.

    Raises SecureAggregationRefused when fewer than `threshold` would hold a share, and what `agree` raises.
    """
    _expect(state, Stage.SETUP)
    holders = sorted({*peers, state.node_id})
    keys = {*peers.values()} | {state.public_keys()}
    if len(keys) != len(holders) or state.node_id in peers:
        raise SecureAggregationRefused("Two nodes have the same keys: one of them impersonates the other.")
    if not 2 <= parameters.threshold <= len(holders) < 2 * parameters.threshold:
        raise SecureAggregationRefused(
            f"A threshold of {parameters.threshold} is not possible with {len(holders)} nodes."
        )
    secrets = (state.seed, state.masking.private)
    split = [shamir.split(secret, len(holders), parameters.threshold) for secret in secrets]
    shares = dict(zip(holders, zip(*split, strict=True), strict=True))
    state.done, state.threshold, state.peers = Stage.SHARE, parameters.threshold, dict(peers)
    state.seed_shares = {state.node_id: shares[state.node_id][0]}
    sealed = {
        peer: seal(b"".join(shares[peer]), state.sealing, keys.sealing, state.session, state.node_id, peer)
        for peer, keys in peers.items()
    }
    return Shares(sealed, {holder: digest(state.session, state.node_id, holder, *shares[holder]) for holder in holders})


def mask(state: ClientSession, sealed: Mapping[int, bytes], vector: NDArray[Any]) -> None:
    """MASK: take the shares that neighbours sealed for this client, and add its masks to `vector` (uint32 or uint64), in place.

    Neighbours whose shares are not in `sealed` are gone, and get no mask. Raises SecureAggregationRefused, the vector as it was, for a share that
    is not authentic, and when fewer than `threshold` are left.
    """
    _expect(state, Stage.SHARE)
    if not sealed.keys() <= state.peers.keys():
        raise SecureAggregationRefused("Received a share from a node that is not a neighbour.")
    if len(sealed) + 1 < state.threshold:
        raise SecureAggregationRefused(f"Only {len(sealed) + 1} nodes remain; at least {state.threshold} are required.")
    opened = {
        peer: unseal(text, state.sealing, state.peers[peer].sealing, state.session, peer, state.node_id)
        for peer, text in sealed.items()
    }
    for peer, text in opened.items():
        half = len(text) // 2
        state.seed_shares[peer], state.key_shares[peer] = text[:half], text[half:]
    state.done = Stage.MASK
    add_mask(vector, state.seed)
    for peer in opened:
        seed = agree(state.masking, state.peers[peer].masking, state.session, b"mask")
        (add_mask if state.node_id < peer else subtract_mask)(vector, seed)


def unmask(state: ClientSession, question: Question) -> dict[int, bytes]:
    """UNMASK: for each node, the share of its seed if its input is in the sum, of its masking key if it is gone. Never both, and once only.

    Forgets all secrets. Raises SecureAggregationRefused for a question that asks for more, or that leaves too few in the sum.
    """
    _expect(state, Stage.MASK)
    present, gone = set(question.present), set(question.gone)
    if present & gone or state.node_id not in present:
        raise SecureAggregationRefused("The server requested both secrets of one node, or this node's own secret.")
    if not _known(present, state.seed_shares) or not _known(gone, state.key_shares):
        raise SecureAggregationRefused("The server requested a share of a node that is not a neighbour.")
    if len(present) < state.threshold:
        raise SecureAggregationRefused(
            f"Only {len(present)} inputs are in the sum; at least {state.threshold} are required."
        )
    revealed = {node: state.seed_shares[node] for node in present} | {node: state.key_shares[node] for node in gone}
    state.done = Stage.UNMASK
    state.seed, state.sealing, state.masking = b"", KeyPair(b"", b""), KeyPair(b"", b"")
    state.seed_shares, state.key_shares = {}, {}
    return revealed


def _known(nodes: Collection[int], shares: Mapping[int, bytes]) -> bool:
    return set(nodes) <= shares.keys()


def _expect(state: ClientSession, before: Stage) -> None:
    if state.done != before:
        raise SecureAggregationRefused(
            f"Unexpected stage: this request follows stage '{before}', but the last completed stage was '{state.done}'."
        )
