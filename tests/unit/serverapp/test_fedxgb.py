"""FedXgbBagging and FedXgbCyclic with real XGBoost models."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from tests.support.clients import asked, failure, model, reply
from tests.support.fake_grid import FakeGrid
from tests.unit.serverapp.rounds import one_round
from umbel.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.errors import AggregationFailed, ConfigError, InconsistentReplies
from umbel.serverapp.strategy import FedXgbBagging, FedXgbCyclic

PARAMETERS = {"objective": "binary:logistic", "max_depth": 2, "eta": 0.3, "base_score": 0.5, "nthread": 1}
EMPTY = ArrayRecord([np.empty(0, np.uint8)])


def data(node: int) -> xgboost.DMatrix:
    """Forty points in the square, a class on each side of a diagonal."""
    x = np.random.default_rng(node).random((40, 2))
    return xgboost.DMatrix(x, x.sum(axis=1) > 1)


def record(booster: xgboost.Booster) -> ArrayRecord:
    """The model as it travels."""
    return ArrayRecord([np.frombuffer(booster.save_raw("json"), np.uint8)])


def booster_in(arrays: ArrayRecord) -> xgboost.Booster:
    """The model again."""
    return xgboost.Booster(PARAMETERS, model_file=bytearray(arrays["0"].numpy().tobytes()))


def grown(node: int, start: xgboost.Booster | None = None, rounds: int = 2, **parameters: Any) -> xgboost.Booster:
    """A model of a node's data, from nothing or on top of another."""
    return xgboost.train(PARAMETERS | parameters, data(node), rounds, xgb_model=start)


def new_trees(node: int, start: xgboost.Booster) -> xgboost.Booster:
    """The trees alone that a node grows on top of a model."""
    return grown(node, start)[start.num_boosted_rounds() :]


def margins(booster: xgboost.Booster) -> NDArray[Any]:
    """The sums of leaves for some points."""
    return np.asarray(booster.predict(data(99), output_margin=True))


def test_bagging_adds_the_clients_trees() -> None:
    """Over two rounds: the model has everybody's trees, and predicts the sum of what they predict."""
    first = [grown(1), grown(2), grown(3)]
    strategy = FedXgbBagging()
    arrays, _ = one_round(strategy, EMPTY, [reply(k, record(b)) for k, b in enumerate(first, 1)])
    assert arrays is not None
    forest = booster_in(arrays)
    assert forest.num_boosted_rounds() == 6
    assert margins(forest) == pytest.approx(sum(margins(b) for b in first), abs=1e-5)

    second = [new_trees(1, forest), new_trees(2, forest)]
    arrays, metrics = one_round(strategy, arrays, [reply(k, record(b), auc=k) for k, b in enumerate(second, 1)], 2)
    assert arrays is not None
    assert booster_in(arrays).num_boosted_rounds() == 10
    assert margins(booster_in(arrays)) == pytest.approx(margins(forest) + sum(margins(b) for b in second), abs=1e-5)
    assert metrics == {"auc": 1.5}
    assert grown(1, booster_in(arrays)).num_boosted_rounds() == 12  # XGBoost continues from it


def test_one_client_is_xgboost_itself() -> None:
    """A federation of one grows the same model as a single training."""
    strategy, arrays = FedXgbBagging(), EMPTY
    for server_round in (1, 2, 3):
        start = booster_in(arrays) if arrays["0"].shape != (0,) else None
        trees = grown(1) if start is None else new_trees(1, start)
        new, _ = one_round(strategy, arrays, [reply(1, record(trees))], server_round)
        assert new is not None
        arrays = new
    assert margins(booster_in(arrays)) == pytest.approx(margins(grown(1, rounds=6)), abs=1e-5)


def test_classes() -> None:
    """A model of three classes has a tree for each in a round; its predictions add up as well."""
    parameters = {"objective": "multi:softprob", "num_class": 3}

    def forest(node: int) -> xgboost.Booster:
        x = np.random.default_rng(node).random((40, 2))
        return xgboost.train(PARAMETERS | parameters, xgboost.DMatrix(x, (x[:, 0] * 3).astype(int)), 2)

    both = [forest(1), forest(2)]
    arrays, _ = one_round(FedXgbBagging(), EMPTY, [reply(k, record(b)) for k, b in enumerate(both, 1)])
    assert arrays is not None
    merged = xgboost.Booster(PARAMETERS | parameters, model_file=bytearray(arrays["0"].numpy().tobytes()))
    assert merged.num_boosted_rounds() == 4
    assert margins(merged) - 0.5 == pytest.approx(sum(margins(b) - 0.5 for b in both), abs=1e-5)


def test_the_order_of_replies_does_not_change_what_it_predicts() -> None:
    """Trees are added: in another order the sums are the same up to rounding."""
    replies = [reply(k, record(grown(k))) for k in (1, 2, 3)]
    forests = [one_round(FedXgbBagging(), EMPTY, order)[0] for order in (replies, replies[::-1])]
    straight, mixed = (margins(booster_in(arrays)) for arrays in forests if arrays is not None)
    assert straight == pytest.approx(mixed, abs=1e-5)


def changed(**learner: Any) -> ArrayRecord:
    """A model with something else in it."""
    document = json.loads(record(grown(4))["0"].numpy().tobytes())
    document["learner"].update(learner)
    return ArrayRecord([np.frombuffer(json.dumps(document).encode(), np.uint8)])


def wider() -> ArrayRecord:
    """A model of three features."""
    return record(xgboost.train(PARAMETERS, xgboost.DMatrix(np.eye(3), np.arange(3) % 2), 1))


BAD: list[tuple[ArrayRecord, str]] = [
    (EMPTY, "no trees"),
    (model(1), "one uint8 array"),
    (ArrayRecord([np.frombuffer(b"no json", np.uint8)]), "not an XGBoost tree model"),
    (ArrayRecord([np.frombuffer(b"\xff{}", np.uint8)]), "not an XGBoost tree model"),
    (ArrayRecord([np.frombuffer(b"[1]", np.uint8)]), "not an XGBoost tree model"),
    (ArrayRecord([np.frombuffer(b'{"learner": NaN}', np.uint8)]), "contains NaN"),
    (ArrayRecord([np.frombuffer(grown(4).save_raw("ubj"), np.uint8)]), "not an XGBoost tree model"),
    (changed(gradient_booster={"name": "gblinear"}), "'gblinear', not 'gbtree'"),
    (changed(objective={"name": "reg:squarederror"}), "objective reg:squarederror"),
    (wider(), "num_feature 3"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_what_is_no_such_model_is_left_out(bad: ArrayRecord, reason: str) -> None:
    """Other bytes, damaged ones, NaN and trees of another task: dropped and named, the others' trees count."""
    strategy = FedXgbBagging()
    good = reply(1, record(grown(1)))
    arrays, _ = one_round(strategy, EMPTY, [good, failure(2), reply(3, bad)])
    assert arrays is not None
    assert booster_in(arrays).num_boosted_rounds() == 2
    assert strategy.dropped.keys() == {3}
    assert reason in str(strategy.dropped[3].error)


def test_nothing_usable() -> None:
    """Failures leave the model as it is; replies none of which fits, or a start with other arrays, are errors."""
    assert one_round(FedXgbBagging(), EMPTY, [failure(2)]) == (None, None)
    with pytest.raises(
        InconsistentReplies, match="Its ArrayRecord must contain one uint8 array with the bytes of a model; it contains"
    ):
        one_round(FedXgbBagging(), EMPTY, [reply(2, model(1))])
    with pytest.raises(
        AggregationFailed, match="Start it with one empty uint8 array, or with the bytes of a model in JSON"
    ):
        one_round(FedXgbBagging(), model(1), [reply(2, record(grown(1)))])


def test_unlike_base_scores_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Models that begin from unlike constants do not add up: a warning says what to set."""
    replies = [reply(k, record(grown(k, base_score=0.1 * k))) for k in (1, 2)]
    one_round(FedXgbBagging(), EMPTY, replies)
    assert "The clients' models start from different base scores (" in caplog.text


def growing(message: Message, context: Context) -> Message:
    """A client that grows one tree on top of what came, and replies the whole model."""
    metrics = MetricRecord({"num-examples": 40, "node": context.node_id})
    if message.metadata.message_type == "evaluate":
        return Message(RecordDict({"metrics": metrics}), reply_to=message)
    if context.node_id == 4:
        raise RuntimeError("no data")
    arrays = message.content.array_records["arrays"]
    start = booster_in(arrays) if arrays["0"].shape != (0,) else None
    return Message(
        RecordDict({"arrays": record(grown(context.node_id, start, 1)), "metrics": metrics}), reply_to=message
    )


def test_cyclic_goes_round() -> None:
    """One client after the other, in the order of their ids; one that fails is left out."""
    grid = FakeGrid(growing, [5, 3, 4])
    result = FedXgbCyclic().start(grid, EMPTY, 5)
    assert [nodes for phase, nodes in grid.asked if phase == "train"] == [[3], [4], [5], [3], [4]]
    assert [nodes for phase, nodes in grid.asked if phase == "evaluate"] == [[3], [4], [5], [3], [4]]
    expected = grown(3, grown(5, grown(3, None, 1), 1), 1)
    assert margins(booster_in(result.arrays)) == pytest.approx(margins(expected))
    assert [result.train_metrics_clientapp[t]["node"] for t in (1, 3, 4)] == [3, 5, 3]


def test_cyclic_refuses_what_is_no_model() -> None:
    """A reply that is no model, and one without a weight, are named."""
    for bad in (
        reply(2, model(1)),
        reply(2, EMPTY),
        Message(RecordDict({"arrays": record(grown(1))}), reply_to=asked(2)),
    ):
        with pytest.raises(InconsistentReplies, match="Node 2"):
            FedXgbCyclic().aggregate_train(1, [bad])


def test_cyclic_arguments() -> None:
    """Shares of a turn make no sense, nor does a number of nodes; 0.0 turns a phase off."""
    with pytest.raises(ConfigError, match=r"fraction_train must be 0.0 or 1.0"):
        FedXgbCyclic(fraction_train=0.5)
    with pytest.raises(TypeError, match="min_train_nodes"):
        FedXgbCyclic(min_train_nodes=2)  # type: ignore[call-arg]
    grid = FakeGrid(growing, [2, 3])
    FedXgbCyclic(fraction_evaluate=0.0).start(grid, EMPTY, 1)
    assert [phase for phase, _ in grid.asked] == ["train"]


def test_the_bytes_are_those_of_any_uint8_array() -> None:
    """A record whose array has another name works as well; the outcome is always "0"."""
    named = ArrayRecord({"model": Array(record(grown(1))["0"].numpy())})
    arrays, _ = one_round(FedXgbBagging(), EMPTY, [reply(1, named)])
    assert arrays is not None
    assert list(arrays) == ["0"]
