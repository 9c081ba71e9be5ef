"""A run whose ServerApp dies continues from its checkpoint and ends with the same bits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.clients import answer, bits, model
from tests.support.examples import examples
from tests.support.fake_grid import FakeCheckpoints, FakeGrid, Killed
from umbel.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict, safetensors
from umbel.app.safetensors import Part
from umbel.errors import CheckpointInvalid
from umbel.serverapp import Grid
from umbel.serverapp.rounds import checkpoint
from umbel.serverapp.rounds.checkpoint import Progress
from umbel.serverapp.strategy import BestModel, Callback, EarlyStopping, FedAvg, FedMedian, Result

Trained = tuple[ArrayRecord | None, MetricRecord | None]
NODES = range(2, 22)
ROUNDS = 6


class Momentum(FedAvg):
    """Remembers the sum of all updates, and halves the clients' learning rate each round."""

    def __init__(self) -> None:
        """A third of the nodes train."""
        super().__init__(fraction_train=0.3, fraction_evaluate=0.2)
        self.sum = np.zeros(3, dtype=np.float32)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg, changing the configuration for good."""
        config["lr"] = float(config["lr"]) / 2  # type: ignore[arg-type]
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """FedAvg, plus a tenth of what is remembered."""
        arrays, metrics = super().aggregate_train(server_round, replies)
        assert arrays is not None
        self.sum += arrays["0"].numpy()
        return ArrayRecord([arrays["0"].numpy() + np.float32(0.1) * self.sum]), metrics

    def state(self) -> RecordDict:
        """The sum."""
        return RecordDict({"sum": ArrayRecord([self.sum])})

    def load_state(self, state: RecordDict) -> None:
        """The sum again."""
        self.sum = state.array_records["sum"]["0"].numpy()


def waves(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """A metric that is best in round 3 and NaN in round 2."""
    return MetricRecord(
        {"wave": math.nan if server_round == 2 else abs(server_round - 3) + 0.1, "list": [1.5, math.inf]}
    )


def run(store: FakeCheckpoints | None, patience: int) -> tuple[Result, FakeGrid]:
    """The whole app: its strategy, its callbacks, its start."""
    grid = FakeGrid(answer, NODES, checkpoints=store)
    callbacks = [BestModel("wave"), EarlyStopping("server/wave", patience=patience)]
    config = ConfigRecord({"lr": 1.0, "key": b"\x00\xff", "names": ["a", "b"], "flag": True})
    return Momentum().start(
        grid, model(1, 2, 3), ROUNDS, train_config=config, evaluate_fn=waves, callbacks=callbacks
    ), grid


def attempts(dies_after: Iterable[int], patience: int) -> tuple[Result, FakeGrid]:
    """The app, killed after each of these rounds and started again each time."""
    data = None
    for last in dies_after:
        store = FakeCheckpoints(data, die_after=last)
        with pytest.raises(Killed):
            run(store, patience)
        data = store.newest
    return run(FakeCheckpoints(data), patience)


@pytest.mark.parametrize("dies_after", [[1], [2], [3], [4], [5], [6], [1, 2, 3, 4, 5, 6], [2, 5]])
def test_killed_after_a_round(dies_after: list[int]) -> None:
    """Whatever round it dies after: the same arrays, best model and history as without a break, and no round done twice."""
    whole, _ = run(None, patience=9)
    resumed, grid = attempts(dies_after, patience=9)
    assert bits(resumed.arrays) == bits(whole.arrays)
    assert resumed.best_round == whole.best_round == 3
    assert resumed.best_arrays is not None
    assert whole.best_arrays is not None
    assert bits(resumed.best_arrays) == bits(whole.best_arrays)
    assert repr(resumed) == repr(whole)  # NaN is not equal to itself, but looks like itself
    assert len(grid.told("round-finished")) == ROUNDS - dies_after[-1]
    assert grid.artifacts["best-model.safetensors"] == (
        b"".join(safetensors.encode(whole.best_arrays)),
        3,
    )


@pytest.mark.parametrize("dies_after", [[1], [4], [5], [1, 2, 3, 4, 5]])
def test_killed_on_the_way_to_an_early_stop(dies_after: list[int]) -> None:
    """The patience is counted over the break; a run that had stopped stays stopped."""
    whole, _ = run(None, patience=2)
    resumed, _ = attempts(dies_after, patience=2)
    assert whole.stopped_early is not None
    assert "best value was 0.1 in round 3" in whole.stopped_early
    assert len(whole.train_metrics_clientapp) == 5
    assert repr(resumed) == repr(whole)
    assert bits(resumed.arrays) == bits(whole.arrays)


def test_killed_within_a_round() -> None:
    """A round that had not ended is done again, from the checkpoint before it."""
    calls = 0

    def dying(message: Message, context: object) -> Message:
        nonlocal calls
        calls += 1
        if calls == 30:
            raise Killed
        return answer(message, context)  # type: ignore[arg-type]

    whole = FedAvg().start(FakeGrid(answer), model(1), 5)
    store = FakeCheckpoints()
    with pytest.raises(Killed):
        FedAvg().start(FakeGrid(dying, checkpoints=store), model(1), 5)
    grid = FakeGrid(answer, checkpoints=FakeCheckpoints(store.newest))
    assert bits(FedAvg().start(grid, model(1), 5).arrays) == bits(whole.arrays)
    assert len(grid.told("round-finished")) == 2


def test_two_strategies_in_one_app() -> None:
    """An app that starts a second strategy finds the second's checkpoint when it is there, and repeats the first."""

    def app(store: FakeCheckpoints | None) -> Result:
        grid = FakeGrid(answer, checkpoints=store)
        return FedMedian().start(grid, FedAvg().start(grid, model(1), 2).arrays, 3)

    store = FakeCheckpoints(die_after=3)
    with pytest.raises(Killed):
        app(store)
    assert bits(app(FakeCheckpoints(store.newest)).arrays) == bits(app(None).arrays)


def test_the_store_hears_whether_the_run_goes_on_from_its_checkpoint() -> None:
    """It is told when a checkpoint is taken up, and not when there is none or when it is of another start."""
    stores = [FakeCheckpoints(saved()), FakeCheckpoints(), FakeCheckpoints(saved())]
    grids = [FakeGrid(answer, checkpoints=store) for store in stores]
    grids[2].starts = 1
    for grid in grids:
        FedAvg().start(grid, model(1), 2)
    assert [store.gone_on for store in stores] == [True, False, False]


def test_what_changes_in_place_does_not_change_what_was_kept() -> None:
    """Checkpoint, best model and artifacts have separate memory: a strategy may reuse its arrays."""

    class InPlace(FedAvg):
        def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
            own[:] += 1
            return ArrayRecord([own]), MetricRecord({"round": server_round})

    class Lazy(FakeCheckpoints):
        parts: Sequence[Part] = ()

        def save(self, server_round: int, parts: Sequence[Part]) -> None:
            self.parts = self.parts or parts

    own, store = np.zeros(1, np.float32), Lazy()
    grid = FakeGrid(answer, checkpoints=store)
    result = InPlace(fraction_evaluate=0).start(grid, model(0), 3, callbacks=[BestModel("round")])
    own[:] = 0
    assert checkpoint.decode(b"".join(store.parts))[0].result.arrays == model(1)
    assert result.best_arrays == model(1)


def test_what_was_resumed_can_be_changed_in_place() -> None:
    """The arrays of a checkpoint lie in their own writable memory, as those of a round do."""
    store = FakeCheckpoints()
    FedAvg().start(FakeGrid(answer, checkpoints=store), model(1), 1)
    resumed = FedAvg().start(FakeGrid(answer, checkpoints=FakeCheckpoints(store.newest)), model(1), 1)
    array = resumed.arrays["0"].numpy()
    assert array.flags.writeable
    array[:] = 0
    assert not resumed.arrays["0"].numpy().any()


def saved() -> bytes:
    """A checkpoint of FedAvg after one round."""
    store = FakeCheckpoints()
    FedAvg().start(FakeGrid(answer, checkpoints=store), model(1), 1)
    assert store.newest is not None
    return store.newest


@pytest.mark.parametrize(
    ("strategy", "arrays", "callbacks", "reason"),
    [
        (FedAvg(), model(1, 2), [], "its run started with arrays of other names, dtypes or shapes"),
        (FedAvg(), ArrayRecord([np.ones(1)]), [], "its run started with arrays of other names, dtypes or shapes"),
        (
            FedAvg(),
            ArrayRecord([np.ones(1, np.float32)] * 2),
            [],
            "its run started with arrays of other names, dtypes or shapes",
        ),
        (FedMedian(), model(1), [], "it belongs to 0-FedAvg, not to 0-FedMedian"),
        (FedAvg(), model(1), [Callback()], "it belongs to 0-FedAvg, not to 0-FedAvg, 1-Callback"),
    ],
)
def test_a_checkpoint_of_another_app(
    strategy: FedAvg, arrays: ArrayRecord, callbacks: list[Callback], reason: str
) -> None:
    """Other arrays, another strategy, other callbacks: the error says what differs."""
    grid = FakeGrid(answer, checkpoints=FakeCheckpoints(saved()))
    with pytest.raises(CheckpointInvalid, match=reason):
        strategy.start(grid, arrays, 2, callbacks=callbacks)


@given(st.data())
def test_a_damaged_checkpoint(data: st.DataObject) -> None:
    """Whatever byte is changed or cut off, it is read as a checkpoint or refused with CheckpointInvalid, nothing else."""
    whole = bytearray(CHECKPOINT)
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole))) :]
    for position in data.draw(st.lists(st.integers(0, max(0, len(whole) - 1)), max_size=3)) if whole else []:
        whole[position] = data.draw(st.integers(0, 255))
    try:
        decoded = checkpoint.decode(bytes(whole))
    except CheckpointInvalid:
        return
    assert len(decoded) == 2


CHECKPOINT = saved()


@pytest.mark.parametrize(
    "document",
    ["{}", "[]", "1", "nonsense", '{"version": 1}', '{"version": 2}', "[" * 100_000],
    ids=["empty", "list", "number", "no json", "incomplete", "newer", "deep"],
)
def test_a_checkpoint_with_another_document(document: str) -> None:
    """Metadata that is no checkpoint of this version is refused."""
    data = b"".join(safetensors.encode(model(1), {"umbel-checkpoint": document}))
    with pytest.raises(CheckpointInvalid):
        checkpoint.decode(data)


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats()
metric_records = st.dictionaries(
    st.text(max_size=5), numbers | st.lists(st.floats(), max_size=3) | st.lists(st.integers(0, 9), max_size=3)
).map(MetricRecord)
config_records = st.dictionaries(
    st.text(max_size=5),
    st.booleans() | numbers | st.text(max_size=5) | st.binary(max_size=5) | st.lists(st.binary(max_size=3), max_size=3),
).map(ConfigRecord)
array_records = st.dictionaries(
    st.text(max_size=5), st.lists(st.floats(width=32), max_size=3).map(lambda v: Array(np.array(v, np.float32)))
).map(ArrayRecord)
states = st.dictionaries(st.text(max_size=5), metric_records | config_records | array_records).map(RecordDict)
histories = st.dictionaries(st.integers(0, 100), metric_records, max_size=3)


@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.too_slow])
@given(array_records, histories, histories, config_records, states, states)
def test_what_is_kept_comes_back(
    arrays: ArrayRecord,
    train: dict[int, MetricRecord],
    server: dict[int, MetricRecord],
    config: ConfigRecord,
    one: RecordDict,
    two: RecordDict,
) -> None:
    """Any arrays, histories, configurations and states survive to the last bit, NaN and infinities included."""
    progress = Progress(
        Result(arrays, train, {}, server, stopped_early="enough"),
        arrays.schema(),
        1,
        7,
        config,
        ConfigRecord(),
    )
    data = b"".join(checkpoint.encode(progress, {"strategy": one, "callback-0": two}))
    restored, kept = checkpoint.decode(data)
    assert repr(restored) == repr(progress)
    assert repr(kept) == repr({"strategy": one, "callback-0": two})
    assert restored.result.arrays == arrays
    assert kept["strategy"].array_records == one.array_records
