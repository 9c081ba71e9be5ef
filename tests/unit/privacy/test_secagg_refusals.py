"""Requests and messages that secure aggregation refuses."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.privacy.rounds import SESSION
from umbel.errors import SecureAggregationRefused
from umbel.privacy.secagg import client
from umbel.privacy.secagg.client import ClientSession
from umbel.privacy.secagg.messages import PublicKeys, Question, Stage
from umbel.privacy.secagg.parameters import Parameters
from umbel.privacy.secagg.server import ServerSession

NODES = (4, 9, 2)
Routed = dict[int, dict[int, bytes]]


def shared(session: bytes = SESSION) -> tuple[dict[int, ClientSession], Routed]:
    """Three clients that have shared, and what the server hands on to each."""
    parameters = Parameters(3, 2)
    states = {node: client.set_up(session, node) for node in NODES}
    server = ServerSession(session, parameters)
    peers = server.publish({node: state.public_keys() for node, state in states.items()})
    return states, server.route({node: client.share(states[node], peers[node], parameters) for node in NODES})


@pytest.mark.parametrize("place", [0, 12, 50, -1])
def test_a_tampered_share(place: int) -> None:
    """One changed bit anywhere in a sealed share is noticed, the sender named, and the vector not masked."""
    states, routed = shared()
    text = bytearray(routed[4][9])
    text[place] ^= 1
    vector = np.arange(3, dtype=np.uint64)
    with pytest.raises(SecureAggregationRefused, match="share of node 9 for node 4 is not authentic"):
        client.mask(states[4], {**routed[4], 9: bytes(text)}, vector)
    assert vector.tolist() == [0, 1, 2]
    assert states[4].done == Stage.SHARE


@pytest.mark.parametrize("text", [b"", b"short", bytes(100)])
def test_something_that_is_no_share(text: bytes) -> None:
    """Bytes of any length that were never sealed are refused."""
    states, routed = shared()
    with pytest.raises(SecureAggregationRefused, match="not authentic"):
        client.mask(states[4], {**routed[4], 9: text}, np.zeros(1, np.uint64))


def test_a_share_of_another_session() -> None:
    """A share replayed from an earlier session is refused, of another pair of nodes too, and of the right sender to another receiver too."""
    states, routed = shared()
    _, earlier = shared(bytes(16))
    for replayed in (earlier[4][9], routed[9][4], routed[4][2], routed[2][9]):
        with pytest.raises(SecureAggregationRefused, match="not authentic"):
            client.mask(states[4], {**routed[4], 9: replayed}, np.zeros(1, np.uint64))


def test_a_replay_with_the_same_keys_in_another_session() -> None:
    """Were keys ever used again, a sealed share would still belong to one session alone."""
    states, routed = shared()
    states[4].session = bytes(16)
    with pytest.raises(SecureAggregationRefused, match="not authentic"):
        client.mask(states[4], routed[4], np.zeros(1, np.uint64))


def test_stages_out_of_order() -> None:
    """Each step is taken once, in its order: no second masking with the same masks, no second answer to another question."""
    states, routed = shared()
    one = states[4]
    question = Question((2, 4, 9), ())
    with pytest.raises(SecureAggregationRefused, match="follows stage 'mask'"):
        client.unmask(one, question)
    client.mask(one, routed[4], np.zeros(1, np.uint64))
    with pytest.raises(SecureAggregationRefused, match="follows stage 'share'"):
        client.mask(one, routed[4], np.zeros(1, np.uint64))
    client.unmask(one, question)
    with pytest.raises(SecureAggregationRefused, match="follows stage 'mask'"):
        client.unmask(one, Question((4, 9), (2,)))


@pytest.mark.parametrize(
    ("present", "gone", "why"),
    [
        ((2, 4, 9), (9,), "both secrets"),
        ((2, 9), (4,), "this node's own"),
        ((2, 4, 9, 5), (), "not a neighbour"),
        ((2, 4), (5,), "not a neighbour"),
        ((4,), (2, 9), "Only 1 .*; at least 2"),
    ],
)
def test_questions_that_ask_too_much(present: tuple[int, ...], gone: tuple[int, ...], why: str) -> None:
    """Both secrets of a node, shares of strangers, and a sum of too few are not given, and the secrets stay for an honest question."""
    states, routed = shared()
    client.mask(states[4], routed[4], np.zeros(1, np.uint64))
    with pytest.raises(SecureAggregationRefused, match=why):
        client.unmask(states[4], Question(present, gone))
    assert client.unmask(states[4], Question((2, 4), (9,))).keys() == {2, 4, 9}


def test_bad_neighbours() -> None:
    """A neighbourhood that is too small or too large for its threshold, a key that is none and one that two nodes use are refused."""
    others = {node: client.set_up(SESSION, node).public_keys() for node in (9, 2, 5)}
    for peers, threshold, why in (
        ({9: others[9]}, 3, "is not possible with"),
        (others, 2, "is not possible with"),
        ({9: others[9], 2: others[9]}, 2, "same keys"),
        ({9: others[9], 2: PublicKeys(bytes(32), others[2].masking)}, 2, "Invalid public key of a peer"),
        ({9: others[9], 2: PublicKeys(b"x", others[2].masking)}, 2, "Invalid public key of a peer"),
    ):
        state = client.set_up(SESSION, 4)
        with pytest.raises(SecureAggregationRefused, match=why):
            client.share(state, peers, Parameters(2 * threshold - 1, threshold))


def test_too_few_shares_are_left() -> None:
    """A client gives no input when fewer nodes than the threshold hold its shares."""
    states, _ = shared()
    with pytest.raises(SecureAggregationRefused, match=r"Only 1 .*; at least 2"):
        client.mask(states[4], {}, np.zeros(1, np.uint64))
