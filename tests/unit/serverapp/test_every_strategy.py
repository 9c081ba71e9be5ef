"""Properties of all strategies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.clients import bits, failure, model, reply
from tests.support.fake_grid import FakeCheckpoints, FakeGrid, Killed
from tests.unit.serverapp.rounds import one_round
from umbel.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.app.array import float32_to_bfloat16
from umbel.serverapp.strategy import (
    Bulyan,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedDyn,
    FedMedian,
    FedNova,
    FedProx,
    FedTrimmedAvg,
    FedYogi,
    Krum,
    MultiKrum,
    QFedAvg,
    Scaffold,
)

Kind = Callable[[], FedAvg]
STRATEGIES: dict[str, Kind] = {
    "FedAvg": FedAvg,
    "FedAvgM": lambda: FedAvgM(server_learning_rate=0.5, server_momentum=0.9),
    "FedProx": lambda: FedProx(proximal_mu=1.0),
    "FedAdagrad": FedAdagrad,
    "FedAdam": FedAdam,
    "FedYogi": FedYogi,
    "FedMedian": FedMedian,
    "FedTrimmedAvg": FedTrimmedAvg,
    "Krum": lambda: Krum(num_malicious_nodes=1),
    "MultiKrum": lambda: MultiKrum(num_malicious_nodes=1, num_nodes_to_select=3),
    "Bulyan": lambda: Bulyan(num_malicious_nodes=1),
    "QFedAvg": lambda: QFedAvg(client_learning_rate=0.1),
    "FedNova": FedNova,
    "Scaffold": Scaffold,
    "FedDyn": lambda: FedDyn(alpha=0.5),
}
every = pytest.mark.parametrize("kind", STRATEGIES.values(), ids=STRATEGIES.keys())
NODES = range(1, 10)


def answered(node: int, arrays: ArrayRecord) -> Message:
    """A reply with whatever any of the strategies wants of it."""
    message = reply(node, arrays, train_loss=1.0, **{"local-steps": 1})
    return with_control(message, arrays)


def with_control(message: Message, arrays: ArrayRecord) -> Message:
    """The reply with a change of zeros."""
    inexact = {name: array for name, array in arrays.items() if array.dtype.startswith(("float", "bfloat", "complex"))}
    changes = {name: Array(np.zeros(array.shape, widest(array))) for name, array in inexact.items()}
    message.content["control"] = ArrayRecord(changes)
    return message


def widest(array: Array) -> type[Any]:
    """The type of a tensor's control variate."""
    return {"float64": np.float64, "complex64": np.complex64}.get(array.dtype, np.float32)


def for_kind(kind: Kind, replies: list[Message]) -> list[Message]:
    """Only Scaffold's replies hold two ArrayRecords."""
    if not isinstance(kind(), Scaffold):
        for message in replies:
            if message.has_content():
                message.content.pop("control", None)
    return replies


def outcome(kind: Kind, sent: ArrayRecord, replies: list[Message]) -> ArrayRecord:
    """The new arrays."""
    arrays, _ = one_round(kind(), sent, for_kind(kind, replies))
    assert arrays is not None
    return arrays


@every
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_nan_is_dropped_and_named(kind: Kind, bad: float) -> None:
    """The node whose arrays hold NaN or infinity is named; the others' outcome is as if it had failed."""
    strategy = kind()
    good = [answered(node, model(node, -node)) for node in NODES]
    replies = for_kind(kind, [*good, answered(20, model(1, bad))])
    arrays, _ = one_round(strategy, model(0, 0), replies)
    assert arrays is not None
    assert strategy.dropped.keys() == {20}
    assert "Array" in str(strategy.dropped[20].error)
    assert "NaN or infinity" in str(strategy.dropped[20].error)
    assert bits(arrays) == bits(outcome(kind, model(0, 0), [*good, failure(20)]))


ODD = {
    "scalar": Array(np.array(3.0, np.float32)),
    "none": Array(np.empty((0, 2), np.float32)),
    "half": Array(np.array([0.5, 2], np.float16)),
    "brain": Array.from_storage("bfloat16", float32_to_bfloat16(np.array([[1.5]], np.float32))),
    "double": Array(np.array([1e-300, 1])),
    "complex": Array(np.array([1 + 2j], np.complex64)),
    "count": Array(np.array(17)),
    "pixels": Array(np.array([0, 255], np.uint8)),
    "mask": Array(np.array([True, False])),
}


@every
def test_odd_tensors(kind: Kind) -> None:
    """0-d, empty, 16-bit, complex, whole and boolean tensors keep type and shape; where no one changes anything, values too."""
    sent = ArrayRecord(ODD)
    new = outcome(kind, sent, [answered(node, ArrayRecord(ODD)) for node in NODES])
    assert new.schema() == sent.schema()
    for name, array in new.items():
        assert array.numpy() == pytest.approx(sent[name].numpy(), rel=1e-6), name


@every
def test_odd_tensors_move(kind: Kind) -> None:
    """When the clients' tensors differ from what was sent, the outcome does too."""
    sent = ArrayRecord({"scalar": Array(np.array(0.0, np.float32)), "brain": ODD["brain"]})
    brain = Array.from_storage("bfloat16", float32_to_bfloat16(np.array([[9.0]], np.float32)))
    new = outcome(kind, sent, [answered(n, ArrayRecord({"scalar": ODD["scalar"], "brain": brain})) for n in NODES])
    assert new["scalar"].numpy().item() > 0
    assert new["brain"].numpy().item() > 1.5 or isinstance(kind(), FedYogi)  # its steps are smaller than bfloat16 tells


@every
def test_empty_records(kind: Kind) -> None:
    """A model without tensors stays one."""
    assert outcome(kind, ArrayRecord(), [answered(node, ArrayRecord()) for node in NODES]) == ArrayRecord()


@every
def test_no_reply_is_usable(kind: Kind) -> None:
    """When all fail, the arrays stay."""
    assert one_round(kind(), model(0), [failure(node) for node in NODES])[0] is None


def client(message: Message, context: Context) -> Message:
    """Trains w ← w / 2 + node; says all that any strategy wants to hear."""
    (w,) = message.content.array_records["arrays"].to_numpy_ndarrays()
    control = message.content.array_records.get("control", ArrayRecord([np.zeros(1, np.float32)]))["0"].numpy()
    trained = ArrayRecord([(w / 2 + context.node_id + control / 9).astype(np.float32)])
    metrics = MetricRecord(
        {"num-examples": context.node_id, "train_loss": float(abs(w).mean()), "local-steps": context.node_id}
    )
    content = RecordDict({"metrics": metrics})
    if message.metadata.message_type == "train":
        content["arrays"] = trained
        if "control" in message.content:
            content["control"] = ArrayRecord([(control / 3 + trained["0"].numpy()).astype(np.float32)])
    return Message(content, reply_to=message)


@every
@pytest.mark.parametrize("dies_after", [[1], [3], [1, 2, 3]])
def test_killed_and_started_again(kind: Kind, dies_after: list[int]) -> None:
    """Whatever round it dies after, it ends with the same bits: all that it remembers is in the checkpoint."""

    def run(store: FakeCheckpoints | None) -> ArrayRecord:
        strategy = kind()
        strategy.fraction_train, strategy.fraction_evaluate = 0.8, 0.0
        return strategy.start(FakeGrid(client, range(2, 14), checkpoints=store), model(1, -2, 3), 4).arrays

    whole, data = run(None), None
    for last in dies_after:
        store = FakeCheckpoints(data, die_after=last)
        with pytest.raises(Killed):
            run(store)
        data = store.newest
    assert bits(run(FakeCheckpoints(data))) == bits(whole)


@every
def test_started_twice_from_the_same(kind: Kind) -> None:
    """Two runs of two strategies with the same settings end with the same bits."""
    ends = [kind().start(FakeGrid(client, range(2, 14)), model(1), 3).arrays for _ in range(2)]
    assert bits(ends[0]) == bits(ends[1])
