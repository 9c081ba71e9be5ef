"""Rules that stand up to malicious clients: FedTrimmedAvg, Krum, MultiKrum, Bulyan."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clients import answer, bits, failure, model, reply
from tests.support.examples import examples
from tests.support.fake_grid import FakeGrid
from tests.unit.serverapp.rounds import new_arrays, values
from umbel.app import ArrayRecord, RecordDict
from umbel.errors import AggregationFailed, ConfigError, NotEnoughNodes
from umbel.serverapp.strategy import Bulyan, FedAvg, FedMedian, FedTrimmedAvg, Krum, MultiKrum, Strategy
from umbel.serverapp.strategy.krum import squared_distances

NOTHING = model(0)
vector = st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=2)
lie = st.lists(st.floats(-1e3, 1e3, width=32) | st.sampled_from([1e30, -1e30, 3e38, -3e38]), min_size=2, max_size=2)


def name_of(strategy: Strategy) -> str:
    """What a parametrised test calls it."""
    return type(strategy).__name__


def plain(strategy: Strategy, *models: list[float]) -> list[float]:
    """The new elements from these models."""
    return values(new_arrays(strategy, NOTHING, [model(*elements) for elements in models]))


def test_trimmed_mean_by_hand() -> None:
    """β = 0.2 of six leaves out one at each end of each element; of four none, which is the plain mean."""
    assert plain(FedTrimmedAvg(), *([v, -v] for v in (1.0, 2.0, 3.0, 4.0, 6.0, 90.0))) == [3.75, -3.75]
    assert plain(FedTrimmedAvg(), [1.0], [2.0], [3.0], [90.0]) == [24.0]
    assert plain(FedTrimmedAvg(beta=0.25), [1.0], [2.0], [3.0], [90.0]) == [2.5]


def test_a_share_that_falls_just_below_a_whole_number() -> None:
    """0.29 of 100 is 29 left out at each end, though the product is a little less in floating point."""
    models = [[float(number)] for number in (*[0] * 29, *[1] * 42, *[100] * 29)]
    assert plain(FedTrimmedAvg(beta=0.29), *models) == [1.0]


def test_krum_by_hand() -> None:
    """Five on a line, f = 1: two neighbours count. 2 has the scores 1 + 1; 0 and 1 and 3 more; 50 is far from all."""
    points = [[0.0], [1.0], [2.0], [3.0], [50.0]]
    assert plain(Krum(num_malicious_nodes=1), *points) == [1.0]  # 1: 1 + 1, 2: 1 + 1, the lower node
    assert plain(Krum(num_malicious_nodes=1), [0.0], [1.5], [2.0], [3.0], [50.0]) == [
        2.0
    ]  # 1.5: .25 + 2.25, 2: .25 + 1
    assert plain(MultiKrum(num_malicious_nodes=1, num_nodes_to_select=3), [0.0], [1.5], [2.0], [3.0], [50.0]) == [
        pytest.approx(6.5 / 3)
    ]


def test_multikrum_weighs_whom_it_selects() -> None:
    """The mean of the survivors is weighted by their examples; one survivor is taken as it is, even of weight 0."""
    replies = [reply(n, model(v), num_examples=w) for n, v, w in ((1, 0, 3), (2, 1, 1), (3, 1, 0), (4, 99, 9))]
    arrays, _ = MultiKrum(num_nodes_to_select=3).aggregate_train(1, replies)
    assert arrays == model(0.25)
    weightless = [
        reply(node, model(value), num_examples=weight) for node, value, weight in ((1, 0.1, 0), (2, 0.1, 0), (3, 9, 1))
    ]
    assert bits(Krum().aggregate_train(1, weightless)[0] or model()) == bits(model(0.1))


def test_bulyan_by_hand() -> None:
    """Seven with f = 1: Krum selects 5 of them, not the liar; of each element the 3 about the median count."""
    points = [[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [1e6]]
    # Selected one after another: 2, 3, 4 ... the middle ones; then the three closest to their median.
    result = plain(Bulyan(num_malicious_nodes=1), *points)[0]
    assert result in {mean(three) for three in itertools.combinations(range(1, 7), 3)}
    assert 2 <= result <= 5


def mean(numbers: tuple[int, ...]) -> float:
    """Their mean as float32."""
    return float(np.float32(sum(numbers) / len(numbers)))


def test_a_lie_in_one_element_of_many() -> None:
    """The hidden vulnerability: a vector at the centre but for one element is chosen by Krum, and its lie is cut out by Bulyan."""
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(9, 200))
    hidden = honest.mean(axis=0)
    hidden[7] += 12
    models = [*honest.tolist(), hidden.tolist(), hidden.tolist()]
    assert abs(plain(Krum(num_malicious_nodes=2), *models)[7]) > 10
    assert abs(plain(Bulyan(num_malicious_nodes=2), *models)[7]) < 3


def test_a_selection_rule_of_ones_own() -> None:
    """Bulyan hands it the contents, f and θ, and continues with those it returns."""

    def last(contents: list[RecordDict], malicious: int, size: int) -> list[RecordDict]:
        assert (len(contents), malicious, size) == (7, 1, 5)
        return contents[-size:]

    assert plain(Bulyan(num_malicious_nodes=1, selection_rule=last), *([float(v)] for v in range(7))) == [4.0]


@pytest.mark.parametrize("strategy", [FedMedian(), FedTrimmedAvg(beta=0.25)], ids=name_of)
@settings(max_examples=examples(40))
@given(honest=st.lists(vector, min_size=6, max_size=9), lies=st.lists(lie, min_size=2, max_size=2), data=st.data())
def test_no_element_leaves_the_honest_range(
    strategy: Strategy, honest: list[list[float]], lies: list[list[float]], data: st.DataObject
) -> None:
    """Whatever two of at least eight clients send, each element stays between the least and largest honest one."""
    result = plain(strategy, *data.draw(st.permutations([*honest, *lies])))
    low, high = np.min(honest, axis=0), np.max(honest, axis=0)
    assert (low <= result).all()
    assert (result <= high).all()


@settings(max_examples=examples(40))
@given(honest=st.lists(vector, min_size=9, max_size=10), lies=st.lists(lie, min_size=2, max_size=2), data=st.data())
def test_bulyan_leaves_the_honest_range_by_no_more_than_its_width(
    honest: list[list[float]], lies: list[list[float]], data: st.DataObject
) -> None:
    """Whatever two of at least eleven clients send."""
    result = plain(Bulyan(num_malicious_nodes=2), *data.draw(st.permutations([*honest, *lies])))
    low, high = np.min(honest, axis=0), np.max(honest, axis=0)
    width = high - low
    assert (low - width <= result).all()
    assert (result <= high + width).all()


@settings(max_examples=examples(40))
@given(honest=st.lists(vector, min_size=5, max_size=7), lies=st.lists(lie, min_size=2, max_size=2), data=st.data())
def test_krum_takes_nothing_far_from_the_honest(
    honest: list[list[float]], lies: list[list[float]], data: st.DataObject
) -> None:
    """With n ≥ 2f + 3 the chosen model has an honest neighbour no further than √(n - f - 2) times the honest diameter."""
    models = data.draw(st.permutations([*honest, *lies]))
    chosen = np.array(plain(Krum(num_malicious_nodes=2), *models))
    points = np.array(honest)
    diameter = max(float(np.linalg.norm(a - b)) for a in points for b in points)
    nearest = min(float(np.linalg.norm(chosen - point)) for point in points)
    assert nearest <= np.sqrt(len(models) - 4) * diameter * (1 + 1e-6) + 1e-3


ROBUST = [
    FedTrimmedAvg(),
    Krum(num_malicious_nodes=1),
    MultiKrum(num_malicious_nodes=1, num_nodes_to_select=4),
    Bulyan(num_malicious_nodes=1),
]


@pytest.mark.parametrize("strategy", ROBUST, ids=name_of)
@settings(max_examples=examples(25))
@given(models=st.lists(vector, min_size=7, max_size=9), data=st.data())
def test_the_order_of_replies(strategy: Strategy, models: list[list[float]], data: st.DataObject) -> None:
    """The same replies in any order give the same arrays: to the last bit, but for the mean of MultiKrum's survivors."""
    replies = [reply(node, model(*elements)) for node, elements in enumerate(models, 1)]
    straight, _ = strategy.aggregate_train(1, replies)
    mixed, _ = strategy.aggregate_train(1, data.draw(st.permutations(replies)))
    assert straight is not None
    assert mixed is not None
    if isinstance(strategy, MultiKrum):
        assert values(mixed) == pytest.approx(values(straight), rel=1e-5, abs=1e-3)
    else:
        assert bits(mixed) == bits(straight)


@pytest.mark.parametrize("strategy", ROBUST, ids=name_of)
@settings(max_examples=examples(25))
@given(models=st.lists(vector, min_size=7, max_size=8), scale=st.sampled_from([0.25, 4.0, -2.0]))
def test_scale_and_identity(strategy: Strategy, models: list[list[float]], scale: float) -> None:
    """Models times s give the outcome times s; equal models give that model."""
    scaled = [[scale * element for element in elements] for elements in models]
    if scale > 0 or isinstance(strategy, (FedTrimmedAvg, Krum)):  # Bulyan breaks a tie about the median downwards
        expected = [scale * element for element in plain(strategy, *models)]
        assert plain(strategy, *scaled) == pytest.approx(expected, rel=1e-5, abs=1e-3)
    assert plain(strategy, *[models[0]] * 7) == pytest.approx(models[0], rel=1e-6)


@given(st.lists(vector, min_size=2, max_size=6))
@settings(max_examples=examples(25))
def test_distances(points: list[list[float]]) -> None:
    """The squared distance of each two models, over all their tensors."""
    records = [ArrayRecord([np.array([x], np.float32), np.array(y)]) for x, y in points]
    expected = [
        [sum((np.float64(np.float32(s)) - t) ** 2 for s, t in zip(a, b, strict=True)) for b in points] for a in points
    ]
    assert squared_distances(records) == pytest.approx(np.array(expected))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (FedTrimmedAvg, {"beta": 0.5}, "beta must be in"),
        (FedTrimmedAvg, {"beta": -0.1}, "beta must be in"),
        (Krum, {"num_malicious_nodes": -1}, "num_malicious_nodes must be"),
        (Bulyan, {"num_malicious_nodes": 0.2}, "num_malicious_nodes must be"),
        (MultiKrum, {"num_nodes_to_select": 0}, "num_nodes_to_select must be"),
    ],
)
def test_wrong_arguments(kind: type[FedAvg], arguments: dict[str, Any], message: str) -> None:
    """A value outside its range is refused by name."""
    with pytest.raises(ConfigError, match=message):
        kind(**arguments)


def test_too_few_replies(caplog: pytest.LogCaptureFixture) -> None:
    """Where failures leave too few replies to stand up to f liars, the arrays stay, and the log says how many it takes."""
    replies = [*(reply(node, model(node)) for node in range(2, 8)), failure(8)]
    assert Bulyan(num_malicious_nodes=1).aggregate_train(1, replies) == (None, None)
    assert "Bulyan with num_malicious_nodes=1 requires 7 usable replies, but there are 6" in caplog.text
    assert Krum(num_malicious_nodes=1).aggregate_train(1, replies[:4]) == (None, None)
    assert Krum().aggregate_train(1, replies[:1])[0] == model(2)


def test_it_asks_as_many_as_it_needs() -> None:
    """A share that is too small is raised to 4f + 3 nodes, and a federation that is too small says so."""
    grid = FakeGrid(answer, range(2, 22))
    Bulyan(num_malicious_nodes=2, fraction_train=0.1, fraction_evaluate=0).start(grid, model(0), 1)
    assert len(grid.asked[0][1]) == 11
    with pytest.raises(NotEnoughNodes, match="11 nodes are required, but only 10"):
        Bulyan(num_malicious_nodes=2).start(FakeGrid(answer, range(10)), model(0), 1)


def test_survivors_without_examples() -> None:
    """Selected replies whose weights sum to 0 have no mean: the error says which number is missing."""
    replies = [reply(node, model(node), num_examples=0) for node in (1, 2, 3)]
    with pytest.raises(AggregationFailed, match="num-examples"):
        MultiKrum(num_nodes_to_select=2).aggregate_train(1, replies)


@pytest.mark.parametrize("strategy", ROBUST, ids=name_of)
def test_memory(strategy: Strategy) -> None:
    """Beside the models it needs no more than two of them and some MB: it works in blocks."""
    size = 1 << 20
    replies = [reply(node, ArrayRecord([np.full(size, node, np.float32)])) for node in range(1, 12)]
    tracemalloc.start()
    try:
        strategy.aggregate_train(1, replies)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * 4 * size + 8e6
