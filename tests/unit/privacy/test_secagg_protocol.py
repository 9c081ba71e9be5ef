"""The protocol of secure aggregation from end to end, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.unit.privacy.rounds import SESSION, STAGES, Vectors, plain_sum, play, vectors_of
from umbel.errors import SecureAggregationFailed
from umbel.privacy.secagg import client
from umbel.privacy.secagg.parameters import Parameters, derive
from umbel.privacy.secagg.server import ServerSession

FIVE = list(product(range(STAGES + 1), repeat=5))  # the stage whose answer each node does not give; STAGES: it stays


def check(vectors: Vectors, parameters: Parameters, leaves: dict[int, int]) -> bool:
    """Play the session; True when there is a sum, which is exact, False when there is an error and the total is still masked."""
    total = np.zeros_like(next(iter(vectors.values())))
    try:
        played = play(vectors, parameters, leaves, total=total)
    except SecureAggregationFailed:
        present = [node for node in vectors if leaves.get(node, STAGES) >= 3]
        assert not present or not np.array_equal(total, plain_sum(vectors, present))
        return False
    assert set(played.present) == {node for node in vectors if leaves.get(node, STAGES) >= 3}
    assert np.array_equal(total, plain_sum(vectors, played.present)), leaves
    return True


def check_patterns_of_five(patterns: Iterable[tuple[int, ...]], threshold: int) -> None:
    """There is a sum exactly when `threshold` nodes stay to the end."""
    vectors = vectors_of(5, 3)
    for pattern in patterns:
        leaves = dict(zip(vectors, pattern, strict=True))
        assert check(vectors, Parameters(5, threshold), leaves) == (pattern.count(STAGES) >= threshold), pattern


@pytest.mark.parametrize("threshold", [3, 4, 5])
def test_every_number_of_drop_outs_of_five(threshold: int) -> None:
    """Every way to spread five nodes over the stages they leave at, each for another order of the nodes."""
    patterns = [pattern for pattern in FIVE if list(pattern) == sorted(pattern)]
    rotated = [pattern[i % 5 :] + pattern[: i % 5] for i, pattern in enumerate(patterns)]
    check_patterns_of_five(rotated, threshold)


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [3, 4])
def test_every_pattern_of_five(threshold: int) -> None:
    """All 3,125 ways in which five nodes leave at any of the stages or stay."""
    check_patterns_of_five(FIVE, threshold)


@given(
    st.lists(st.integers(0, STAGES - 1), max_size=12),
    st.randoms(use_true_random=False),
    st.sampled_from(["uint32", "uint64"]),
)
@settings(max_examples=examples(15))
def test_twenty(stages: list[int], random: Random, dtype: str) -> None:
    """With 20 nodes up to 8 may leave, any of them at any stage; with one more there is no sum."""
    vectors = vectors_of(20, 5, dtype)
    leaves = dict(zip(random.sample(list(vectors), len(stages)), stages, strict=True))
    assert check(vectors, derive(20, 0.2, 0.1), leaves) == (len(stages) <= 8)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_a_hundred_in_a_sparse_graph(seed: int) -> None:
    """With 100 nodes, 53 shares each, any 20 leave at any stage and the sum is exact."""
    vectors = vectors_of(100, 5, seed=seed)
    rng = np.random.default_rng(seed)
    leaving = rng.choice(list(vectors), 20, replace=False).tolist()
    assert derive(100, 0.2, 0.1) == Parameters(53, 32, 80)
    assert check(vectors, derive(100, 0.2, 0.1), dict(zip(leaving, rng.integers(0, STAGES, 20).tolist(), strict=True)))


@pytest.mark.slow
def test_a_hundred_with_one_drop_out_more() -> None:
    """When 21 of 100 send no input there is no sum, although all shares are there: the graph might have fallen apart."""
    vectors = vectors_of(100, 2)
    with pytest.raises(SecureAggregationFailed, match="80 nodes must send their inputs, but only 79 did"):
        play(vectors, derive(100, 0.2, 0.1), dict.fromkeys(list(vectors)[:21], 2))


@pytest.mark.slow
@pytest.mark.parametrize("stage", range(STAGES))
def test_a_hundred_with_too_many_drop_outs(stage: int) -> None:
    """When 69 of 100 nodes are gone at a stage, fewer than the threshold are left, the error names some of them, and there is no sum."""
    vectors = vectors_of(100, 2)
    leaves = dict.fromkeys(list(vectors)[:69], stage)
    with pytest.raises(SecureAggregationFailed, match=r"failed: 80 nodes .* but only|failed: 32 nodes with a share"):
        play(vectors, derive(100, 0.2, 0.1), leaves)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_a_masked_vector_alone_is_uniform(dtype: str) -> None:
    """The bytes of what one client sends, of an input of zeros, pass a chi-square test, and two sessions have nothing in common."""
    size = 20_000
    vectors = {node: np.zeros(size, dtype) for node in (3, 5, 8)}
    sent = [masked_inputs(vectors)[5] for _ in range(2)]
    for values in (*sent, sent[0] - sent[1]):
        counts = np.bincount(values.view(np.uint8), minlength=256)
        expected = values.nbytes / 256
        chi_square = float(((counts - expected) ** 2 / expected).sum())
        assert 255 - 6 * 510**0.5 < chi_square < 255 + 6 * 510**0.5  # mean 255, variance 510: six standard deviations


def masked_inputs(vectors: Vectors) -> Vectors:
    """What each node sends in the stage MASK."""
    parameters = Parameters(len(vectors), len(vectors))
    states = {node: client.set_up(SESSION, node) for node in vectors}
    server = ServerSession(SESSION, parameters)
    peers = server.publish({node: state.public_keys() for node, state in states.items()})
    routed = server.route({node: client.share(state, peers[node], parameters) for node, state in states.items()})
    masked = {node: vector.copy() for node, vector in vectors.items()}
    for node, state in states.items():
        client.mask(state, routed[node], masked[node])
    return masked


def test_a_wrong_share_that_a_node_reveals_is_left_out() -> None:
    """Who reveals something else than it was given is found out; with enough others the sum is exact nevertheless, else there is none."""
    vectors = vectors_of(5, 4)
    liar = list(vectors)[2]

    def lie(node: int, shares: dict[int, bytes]) -> dict[int, bytes]:
        return {owner: bytes(len(share)) for owner, share in shares.items()} if node == liar else shares

    played = play(vectors, Parameters(5, 4), {}, lie)
    assert np.array_equal(played.total, plain_sum(vectors, vectors))
    assert list(played.refused) == [liar]
    with pytest.raises(SecureAggregationFailed, match="only 4 did"):
        play(vectors, Parameters(5, 5), {}, lie)


def test_secrets_are_gone_when_a_session_has_ended() -> None:
    """After the last step a client holds no key, seed or share."""
    for state in play(vectors_of(3, 1), Parameters(3, 2), {}).states.values():
        assert (state.seed, *state.sealing, *state.masking, state.seed_shares, state.key_shares) == (b"",) * 5 + (
            {},
            {},
        )
