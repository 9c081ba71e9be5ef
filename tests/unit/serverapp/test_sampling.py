"""Sampling of nodes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clients import answer, model
from tests.support.fake_grid import FakeGrid, WorkersGrid
from umbel.serverapp.rounds.report import sample
from umbel.serverapp.strategy import FedAvg

MILLION = range(2, 1_000_002)


@given(st.sets(st.integers(1, 2**63), max_size=40), st.integers(0, 50), st.integers(), st.integers(0, 1000))
def test_a_sample_is_some_of_the_nodes(nodes: set[int], size: int, seed: int, server_round: int) -> None:
    """That many different nodes, in ascending order, the same for any order in which the nodes are given."""
    drawn = sample(list(nodes), size, seed=seed, server_round=server_round, phase="train")
    assert len(drawn) == min(size, len(nodes))
    assert drawn == sorted(set(drawn) & nodes)
    assert drawn == sample(sorted(nodes), size, seed=seed, server_round=server_round, phase="train")


def test_what_a_sample_depends_on() -> None:
    """Another run, round or phase draws other nodes; the same draws the same."""
    drawn = [
        tuple(sample(range(1000), 20, seed=seed, server_round=server_round, phase=phase))
        for seed in (0, 1)
        for server_round in (1, 2)
        for phase in ("train", "evaluate")
    ]
    assert len(set(drawn)) == 8
    assert drawn[0] == tuple(sample(list(range(999, -1, -1)), 20, seed=0, server_round=1, phase="train"))


def test_a_known_sample() -> None:
    """These very nodes: a change here changes every run that is repeated."""
    assert sample(range(2, 102), 5, seed=42, server_round=3, phase="train") == [7, 9, 24, 65, 82]


def test_each_node_is_drawn_as_often_as_another() -> None:
    """Over 2,000 rounds of 5 in 20 each node is drawn about 500 times: within 5 standard deviations."""
    counts = np.zeros(20)
    for server_round in range(2000):
        counts[sample(range(20), 5, seed=1, server_round=server_round, phase="train")] += 1
    assert np.abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


@pytest.mark.parametrize("size", [10, 1000, 30_000])
def test_a_million_nodes(size: int) -> None:
    """A sample of a million nodes takes less than 20 ms of processor time (the best of three)."""
    times = []
    for server_round in range(3):
        before = time.process_time()
        assert len(sample(MILLION, size, seed=1, server_round=server_round, phase="train")) == size
        times.append(time.process_time() - before)
    assert min(times) < 0.02


@pytest.mark.parametrize(
    ("options", "train", "evaluate"),
    [
        ({}, 100, 100),
        ({"fraction_train": 0.29}, 29, 100),
        ({"fraction_train": 0.0}, 0, 100),
        ({"fraction_evaluate": 0.0}, 100, 0),
        ({"fraction_train": 0.001, "min_train_nodes": 7}, 7, 100),
        ({"fraction_evaluate": 0.001}, 100, 2),
        ({"min_train_nodes": 0, "min_available_nodes": 0, "fraction_train": 0.001}, 0, 100),
    ],
)
def test_how_many_are_asked(options: dict[str, float], train: int, evaluate: int) -> None:
    """The share of the online nodes, rounded down, but at least the minimum; a share of 0 asks no one."""
    grid = FakeGrid(answer, range(2, 102))
    FedAvg(**options).start(grid, model(1), num_rounds=1)  # type: ignore[arg-type]
    sizes = {phase: len(nodes) for phase, nodes in grid.asked}
    assert (sizes.get("train", 0), sizes.get("evaluate", 0)) == (train, evaluate)


def test_the_same_nodes_whoever_does_the_work() -> None:
    """The nodes of each round depend on the run's seed, not on how its work is divided."""

    def asked(kind: type[FakeGrid], seed: int) -> list[tuple[str, list[int]]]:
        grid = kind(answer, range(2, 102), seed=seed)
        FedAvg(fraction_train=0.1, fraction_evaluate=0.05).start(grid, model(1))
        return grid.asked

    assert asked(FakeGrid, 1) == asked(WorkersGrid, 1) != asked(FakeGrid, 2)
