"""The pieces of secure aggregation, one by one."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from umbel.errors import ConfigError
from umbel.privacy.secagg import shamir
from umbel.privacy.secagg.keys import add_mask, agree, key_pair, subtract_mask
from umbel.privacy.secagg.parameters import Parameters, derive, neighbourhoods
from umbel.privacy.secagg.quantization import Quantizer, half_range, modulus_dtype


@given(st.binary(min_size=1, max_size=64), st.integers(1, 40), st.data())
@settings(max_examples=examples(50))
def test_any_threshold_shares_give_the_secret(secret: bytes, num_shares: int, data: st.DataObject) -> None:
    """Any choice of enough shares, in any order, gives back any secret; leading and trailing zeros too."""
    threshold = data.draw(st.integers(1, num_shares))
    shares = shamir.split(secret, num_shares, threshold)
    chosen = data.draw(st.permutations(range(num_shares)))[: data.draw(st.integers(threshold, num_shares))]
    assert shamir.join({place: shares[place] for place in chosen}, len(secret)) == secret


def test_fewer_shares_say_nothing() -> None:
    """Two of three needed shares go with every secret: over many sharings of two secrets their low bits are distributed alike."""
    seen = {secret: Counter(shamir.split(secret, 3, 3)[1][0] & 3 for _ in range(2000)) for secret in (b"\x00", b"\xff")}
    for counter in seen.values():
        assert all(abs(counter[bits] - 500) < 120 for bits in range(4))  # six standard deviations
    shares = shamir.split(bytes(32), 5, 3)
    assert all(shamir_or_none({a: shares[a], b: shares[b]}) != bytes(32) for a, b in combinations(range(5), 2))


def shamir_or_none(shares: dict[int, bytes]) -> bytes | None:
    """The secret, None where the shares do not fit together."""
    try:
        return shamir.join(shares, 32)
    except ValueError:
        return None


def test_shamir_by_hand() -> None:
    """The secret 7 on the line 7 + 5x is 12 at x = 1 and 22 at x = 3."""
    shares = {place: value.to_bytes(4, "little") for place, value in ((0, 12), (2, 22))}
    assert shamir.join(shares, 1) == b"\x07"


@pytest.mark.parametrize(("num_shares", "threshold"), [(3, 0), (3, 4), (2**31 - 1, 2)])
def test_shamir_refuses_nonsense(num_shares: int, threshold: int) -> None:
    """No threshold above the number of shares, none of zero, and no share at x = 0."""
    with pytest.raises(ValueError, match="shares with a threshold of"):
        shamir.split(b"secret", num_shares, threshold)


def test_two_clients_agree_and_a_third_does_not() -> None:
    """Both ends get one secret; another key, session or purpose gives another."""
    a, b, c = key_pair(), key_pair(), key_pair()
    secret = agree(a, b.public, b"session", b"mask")
    assert secret == agree(b, a.public, b"session", b"mask")
    others = {
        agree(c, b.public, b"session", b"mask"),
        agree(a, b.public, b"other", b"mask"),
        agree(a, b.public, b"session", b"seal"),
    }
    assert secret not in others
    assert len(others) == 3


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize("size", [0, 1, 8192, 16384, 16385, 40_001])
def test_a_mask_comes_off_again(dtype: str, size: int) -> None:
    """Of vectors of any length, whole blocks or not; the mask of a seed is the keystream of RFC 8439."""
    values = np.arange(size, dtype=dtype)
    masked = values.copy()
    add_mask(masked, bytes(32))
    if size:
        assert int(masked[0]) == int.from_bytes(bytes.fromhex("76b8e0ada0f13d90")[: masked.itemsize], "little")
        assert np.unique(masked).size > 0.99 * size
    subtract_mask(masked, bytes(32))
    assert np.array_equal(masked, values)


@pytest.mark.parametrize(("count", "size"), [(1, 3), (5, 5), (5, 9), (6, 5), (100, 53), (101, 8)])
def test_the_graph_is_regular_and_mutual(count: int, size: int) -> None:
    """Each node has itself and equally many neighbours, each of which has it as a neighbour too."""
    nodes = [7 * i + 3 for i in range(count)]
    graph = neighbourhoods(nodes, size)
    expected = min(count, size + 1 - size % 2)
    assert all(len(set(around)) == expected and around == sorted(around) for around in graph.values())
    assert all(node in graph[peer] for node, around in graph.items() for peer in around)
    assert set(graph) == set(nodes)


def test_the_graph_is_drawn_anew() -> None:
    """Who is next to whom differs from draw to draw."""
    nodes = list(range(60))
    assert neighbourhoods(nodes, 5) != neighbourhoods(nodes, 5)


def test_parameters_of_few_nodes() -> None:
    """Up to 50 nodes all share with all, and the threshold is the lowest with 2t > n + corrupted."""
    assert derive(5, 0.2, 0.1) == Parameters(5, 3)
    assert derive(20, 0.2, 0.1) == Parameters(20, 12)
    assert derive(50, 0.3, 0.2) == Parameters(50, 31)


@given(st.integers(51, 400), st.sampled_from([0.0, 0.05, 0.1, 0.2]), st.sampled_from([0.0, 0.05, 0.1, 0.2]))
@settings(max_examples=examples(30))
def test_parameters_hold_what_they_promise(num_nodes: int, dropout: float, corruption: float) -> None:
    """Recomputed with exact integers: each of the three things that must not go wrong is as improbable as promised."""
    found = derive(num_nodes, dropout, corruption)
    gone, bad = int(num_nodes * dropout + 1e-9), int(num_nodes * corruption + 1e-9)
    if found.num_shares >= num_nodes:
        return
    neighbours, others = found.num_shares - 1, num_nodes - 1

    def exceeding(marked: int, least: int) -> float:
        ways = sum(
            math.comb(marked, x) * math.comb(others - marked, neighbours - x) for x in range(least, neighbours + 1)
        )
        return num_nodes * ways / math.comb(others, neighbours)

    assert exceeding(bad, found.threshold) < 2.0**-40
    assert exceeding(gone, neighbours - found.threshold + 1) < 2.0**-30
    row = neighbours // 2
    assert (
        num_nodes * math.comb(num_nodes - row, max(bad + gone - row, 0)) / math.comb(num_nodes, bad + gone) < 2.0**-40
        or bad + gone < row
    )


@pytest.mark.parametrize(("nodes", "dropout", "corruption"), [(3, 0.4, 0.4), (100, 0.5, 0.1), (10, 0.9, 0.0)])
def test_parameters_that_cannot_be(nodes: int, dropout: float, corruption: float) -> None:
    """More than can be borne is refused, with the number that would have to stay."""
    with pytest.raises(ConfigError, match="nodes cannot tolerate"):
        derive(nodes, dropout, corruption)


@pytest.mark.parametrize(("num_shares", "threshold"), [(5, 2), (4, 2), (3, 4), (1, 1)])
def test_thresholds_that_protect_nothing(num_shares: int, threshold: int) -> None:
    """Half of the shares or fewer could give both secrets of a node to a server that tells two stories."""
    with pytest.raises(ConfigError, match="is not possible with"):
        Parameters(num_shares, threshold)


@given(
    st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=30),
    st.lists(st.integers(0, 1000), min_size=1, max_size=6),
)
@settings(max_examples=examples(50))
def test_the_error_of_a_weighted_mean(numbers: list[float], weights: list[int]) -> None:
    """The decoded mean is within half a step of the exact one, whatever the weights; the sum is that of the integers."""
    quantizer = Quantizer(8.0, half_range(2**22))
    values = [np.roll(np.array(numbers, np.float32), i) for i in range(len(weights))]
    total = np.zeros(len(numbers), np.uint64)
    for value, weight in zip(values, weights, strict=True):
        out = np.empty_like(total)
        assert quantizer.encode(value, weight, out) == 0
        total += out
    exact = sum(w * v.astype(np.float64) for w, v in zip(weights, values, strict=True))
    integers = sum(
        w * np.rint(v.astype(np.float64) / quantizer.step).astype(int) for w, v in zip(weights, values, strict=True)
    )
    assert np.array_equal(quantizer.decode(total), integers * quantizer.step)
    assert np.all(np.abs(quantizer.decode(total) - exact) <= sum(weights) * quantizer.step / 2 * (1 + 1e-9))


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_negative_and_clipped_numbers(dtype: str) -> None:
    """Zero is exactly zero, both ends of the range are exact, numbers beyond it are clipped and counted."""
    out = np.empty(5, dtype)
    quantizer = Quantizer(2.0, 100)
    assert quantizer.encode(np.array([0.0, 2.0, -2.0, 2.5, -np.float64(1e300)]), 3, out) == 2
    assert quantizer.decode(out) == pytest.approx([0, 6, -6, 6, -6], abs=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    """NaN and infinity have no place among integers."""
    with pytest.raises(ValueError, match="NaN and infinity cannot be summed securely"):
        Quantizer(1.0, 100).encode(np.array([0.0, value]), 1, np.empty(2, np.uint64))


def test_the_modulus_holds_the_largest_sum() -> None:
    """32 bits where they do, 64 where they do not, an error beyond."""
    assert modulus_dtype(100, 100, 2**17) == np.uint32
    assert modulus_dtype(100, 1_000_000, 2**21) == np.uint64
    with pytest.raises(ConfigError, match="does not fit into 64 bits"):
        modulus_dtype(10**6, 10**9, 2**21)
