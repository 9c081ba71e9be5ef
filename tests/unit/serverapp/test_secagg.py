"""SecAggPlus: secure aggregation round a strategy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.support.clients import Client, answer, bits, model
from tests.support.fake_grid import FakeGrid
from umbel.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.clientapp.mod import secaggplus_mod
from umbel.errors import ConfigError, SecureAggregationFailed
from umbel.privacy.secagg.quantization import Quantizer, half_range
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAdam, FedAvg, FedMedian, FedXgbBagging, Krum, QFedAvg, SecAggPlus, Strategy
from umbel.simulation.run import run_simulation

STAGES = ("setup", "share", "mask", "unmask")


def secure(client: Client = answer) -> ClientApp:
    """The client as an app with the mod."""
    app = ClientApp(mods=[secaggplus_mod])
    app.train()(client)
    app.evaluate()(client)
    return app


def leaving(leaves: dict[int, str], client: Client = answer) -> Client:
    """A client that is gone from this stage on, by node."""
    app = secure(client)

    def reply(message: Message, context: Context) -> Message:
        record = message.content.config_records.get("umbel-secagg", ConfigRecord({"stage": "setup"}))
        last = leaves.get(context.node_id)
        if last is not None and STAGES.index(str(record["stage"])) >= STAGES.index(last):
            raise RuntimeError("gone")
        return app(message, context)

    return reply


def quantised_mean(arrays: dict[int, np.ndarray], weights: dict[int, int], strategy: SecAggPlus) -> np.ndarray:
    """What the decoded mean must be, to the bit, of plain integers."""
    quantizer = Quantizer(strategy.clipping_range, half_range(strategy.quantization_range))
    parts = [weights[n] * np.rint(a.astype(np.float64) / quantizer.step).astype(int) for n, a in arrays.items()]
    integers = np.sum(parts, axis=0)
    mean: np.ndarray = (integers * quantizer.step / sum(weights[n] for n in arrays)).astype(np.float32)
    return mean


def test_the_model_is_the_plain_quantised_one() -> None:
    """A round of FedAvg in a simulation ends with the bits of a mean of quantised models, and close to FedAvg's own; metrics too."""
    strategy = SecAggPlus(FedAvg())
    server = ServerApp()
    results = {}

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        for name, used in {"secure": strategy, "plain": FedAvg()}.items():
            results[name] = used.start(grid, model(1.0, -0.3), num_rounds=2)

    def client(message: Message, context: Context) -> Message:
        return (secure() if "umbel-secagg" in message.content else answer)(message, context)

    run_simulation((server, client))
    nodes = range(2, 12)
    w = np.array([1.0, -0.3], np.float32)
    for _ in range(2):
        w = quantised_mean({n: w / np.float32(2) + np.float32(n) for n in nodes}, {n: n for n in nodes}, strategy)
    assert bits(results["secure"].arrays) == bits(ArrayRecord([w]))
    secure_metrics, plain_metrics = (results[name].train_metrics_clientapp for name in ("secure", "plain"))
    assert secure_metrics[1] == pytest.approx(plain_metrics[1], abs=1e-3)
    assert secure_metrics[1].keys() == {"loss"}
    assert results["secure"].arrays["0"].numpy() == pytest.approx(results["plain"].arrays["0"].numpy(), abs=1e-5)


@pytest.mark.parametrize(("stage", "gone"), list(product(STAGES, [(2,), (2, 4), (5, 6)])))
def test_drop_outs(stage: str, gone: tuple[int, ...]) -> None:
    """Whichever node drops out at whichever stage: the mean is that of the nodes whose input came, exactly, and the others are named."""
    grid = FakeGrid(leaving(dict.fromkeys(gone, stage)), nodes=range(2, 7))
    strategy = SecAggPlus(FedAvg(fraction_evaluate=0), dropout_tolerance=0.4)
    result = strategy.start(grid, model(1.0), num_rounds=1)
    inside = [n for n in range(2, 7) if stage == "unmask" or n not in gone]
    arrays = {n: np.array([0.5 + n], np.float32) for n in inside}
    assert result.arrays["0"].numpy() == quantised_mean(arrays, {n: n for n in inside}, strategy)
    assert {event["node_id"] for event in grid.told("reply-dropped")} == set(gone)


@pytest.mark.parametrize("stage", STAGES)
def test_too_many_drop_outs(stage: str) -> None:
    """Above the threshold the run ends with an error that names who was missing; there is no model, and a policy may continue without the round."""
    grid = FakeGrid(leaving(dict.fromkeys((3, 4, 6), stage)), nodes=range(2, 7))
    with pytest.raises(SecureAggregationFailed, match="Secure aggregation failed") as error:
        SecAggPlus(FedAvg(fraction_evaluate=0)).start(grid, model(1.0), num_rounds=1)
    assert stage == "setup" or "missing: 3, 4, 6" in str(error.value)
    assert grid.artifacts == {}
    assert {event["node_id"] for event in grid.told("reply-dropped")} == {3, 4, 6}
    going_on = SecAggPlus(FedAvg(fraction_evaluate=0), skip_failed_rounds=True)
    grid = FakeGrid(leaving(dict.fromkeys((3, 4, 6), stage)), nodes=range(2, 7))
    assert bits(going_on.start(grid, model(1.0), num_rounds=2).arrays) == bits(model(1.0))
    assert any("Secure aggregation failed" in str(note["text"]) for note in grid.told("note"))


def test_the_server_sees_no_reply() -> None:
    """No array, weight or metric of a train reply is in anything that a node sends, and none is reported for a node."""
    seen: list[Message] = []
    app = secure()

    def client(message: Message, context: Context) -> Message:
        seen.append(app(message, context))
        return seen[-1]

    grid = FakeGrid(client)
    SecAggPlus(FedAvg(fraction_evaluate=0)).start(grid, model(*range(50)), num_rounds=1)
    assert len(seen) == 16
    assert all(not reply.content.metric_records for reply in seen)
    vectors = [record["0"].numpy() for reply in seen for record in reply.content.array_records.values()]
    assert [vector.size for vector in vectors] == [50 + 1 + 2] * 4
    assert all((vector > 2**56).mean() > 0.9 for vector in vectors)  # plain ones are small, or just below 2^64
    assert all((vector < 2**64 - 2**56).mean() > 0.9 for vector in vectors)
    assert all(node is None for _, _, _, node in grid.metrics)


def test_it_wraps_what_averages() -> None:
    """FedAdam round a secure mean makes the step it makes of the plain one; its state is kept."""
    results = [
        strategy.start(FakeGrid(client), model(1.0, 2.0), num_rounds=3).arrays["0"].numpy()
        for strategy, client in ((SecAggPlus(FedAdam()), secure()), (FedAdam(), answer))
    ]
    assert results[0] == pytest.approx(results[1], abs=1e-4)
    inner = FedAdam()
    wrapper = SecAggPlus(inner)
    wrapper.start(FakeGrid(secure()), model(1.0), num_rounds=1)
    assert wrapper.state().keys() == inner.state().keys() != set()


@pytest.mark.parametrize(
    "strategy", [FedMedian(), Krum(num_malicious_nodes=0), FedXgbBagging(), QFedAvg(client_learning_rate=0.1)]
)
def test_what_needs_more_is_refused(strategy: Strategy) -> None:
    """A strategy that looks at replies one by one cannot be wrapped."""
    with pytest.raises(ConfigError, match=f"{type(strategy).__name__} cannot be aggregated securely"):
        SecAggPlus(strategy)


def test_all_types_of_arrays() -> None:
    """0-d, empty, whole, boolean, half, bfloat16 and complex arrays come back in their types; counters above the clipping range are exact."""

    def client(message: Message, context: Context) -> Message:
        k = context.node_id
        arrays = ArrayRecord(
            {
                "scalar": Array(np.full((), float(k))),
                "empty": Array(np.zeros((0, 3), np.float32)),
                "counter": Array(np.array([1000 + k])),
                "flag": Array(np.array([k > 2])),
                "half": Array(np.array([k / 4], np.float16)),
                "brain": Array.from_storage("bfloat16", np.array([0x3FC0], np.uint16)),
                "complex": Array(np.array([1 - k * 1j], np.complex64)),
            }
        )
        return Message(RecordDict({"a": arrays, "m": MetricRecord({"num-examples": 1.0})}), reply_to=message)

    result = SecAggPlus(FedAvg(fraction_evaluate=0)).start(FakeGrid(secure(client)), model(0.0), num_rounds=1).arrays
    assert [array.dtype for array in result.values()] == [
        "float64", "float32", "int64", "bool", "float16", "bfloat16", "complex64"
    ]  # fmt: skip
    assert result["scalar"].numpy() == pytest.approx(3.5, abs=1e-5)
    assert result["counter"].numpy().tolist() == [1004]
    assert result["flag"].numpy().tolist() == [True]
    assert result["half"].numpy()[0] == np.float16(0.875)
    assert result["brain"].storage.tolist() == [0x3FC0]
    assert result["complex"].numpy()[0] == pytest.approx(1 - 3.5j, abs=1e-5)
    assert result["empty"].shape == (0, 3)


@pytest.mark.parametrize(
    ("metrics", "values", "why"),
    [
        ({"num-examples": 2_000_000}, [1.0], "integer from 0 to 1000000"),
        ({"num-examples": 0.5}, [1.0], "it must be an integer from 0 to"),
        ({"num-examples": -1}, [1.0], "it must be an integer from 0 to"),
        ({"num-examples": [1]}, [1.0], "Its MetricRecord lacks the weight"),
        ({"loss": 1.0}, [1.0], "lacks the weight 'num-examples'"),
        ({"num-examples": 1, "loss": float("nan")}, [1.0], "Metric 'loss': NaN"),
        ({"num-examples": 1}, [float("inf")], "Array '0': NaN and infinity"),
        ({"num-examples": 5, "other": 1}, [1.0], "differ from those of the other replies"),
        ({"num-examples": 5}, [1.0, 2.0], "differ from those of the other replies"),
    ],
)
def test_unfit_replies_are_left_out_and_named(metrics: dict[str, float], values: list[float], why: str) -> None:
    """A reply that cannot be summed, or that is unlike most, counts as a drop-out; the sum of the others is exact."""

    def client(message: Message, context: Context) -> Message:
        fits = context.node_id != 3
        arrays = ArrayRecord([np.array([float(context.node_id)] if fits else values)])
        record = MetricRecord({"num-examples": 1} if fits else metrics)
        return Message(RecordDict({"a": arrays, "m": record}), reply_to=message)

    grid = FakeGrid(secure(client), nodes=range(2, 7))
    result = SecAggPlus(FedAvg(fraction_evaluate=0)).start(grid, model(0.0), num_rounds=1)
    assert result.arrays["0"].numpy()[0] == pytest.approx((2 + 4 + 5 + 6) / 4, abs=1e-5)
    (dropped,) = grid.told("reply-dropped")
    assert dropped["node_id"] == 3
    assert why in str(dropped["reason"])


def test_clipped_numbers_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Numbers beyond the range are clipped, and their number, summed securely too, is told."""
    grid = FakeGrid(secure())
    result = SecAggPlus(FedAvg(fraction_evaluate=0), clipping_range=3.0).start(grid, model(0.0), num_rounds=1)
    assert "2 numbers were clipped" in caplog.text  # of nodes 4 and 5
    assert result.arrays["0"].numpy()[0] == pytest.approx((2 * 2 + 3 * 3 + 4 * 3 + 5 * 3) / 14, abs=1e-5)


def test_a_server_that_asks_for_replies_in_the_clear_gets_none() -> None:
    """With the mod in the app, FedAvg without the wrapper trains nothing; without it SecAggPlus says what is missing."""
    grid = FakeGrid(secure())
    reasons = dropped_reasons(FedAvg(fraction_evaluate=0), grid)
    assert all("The ServerApp requested an unmasked reply: use SecAggPlus there" in reason for reason in reasons)
    assert len(reasons) == 4
    with pytest.raises(SecureAggregationFailed, match="Check that secaggplus_mod is among the mods of the ClientApp"):
        SecAggPlus(FedAvg()).start(FakeGrid(answer), model(0.0), num_rounds=1)


def test_a_client_without_the_mod() -> None:
    """Who replies to the first stage with a model is named, with what its app lacks; its model is not looked at."""

    def client(message: Message, context: Context) -> Message:
        if context.node_id == 4:
            return Message(RecordDict({"arrays": model(1e9)}), reply_to=message)
        return secure()(message, context)

    grid = FakeGrid(client, nodes=range(2, 7))
    result = SecAggPlus(FedAvg(fraction_evaluate=0)).start(grid, model(0.0), num_rounds=1)
    assert result.arrays["0"].numpy()[0] < 10
    assert [event["reason"] for event in grid.told("reply-dropped")] == [
        "It did not take part in the secure aggregation: its ClientApp lacks secaggplus_mod."
    ]


def dropped_reasons(strategy: Strategy, grid: FakeGrid) -> list[str]:
    """Why replies were dropped in a run that ends in failure."""
    with pytest.raises(Exception, match=r"mask|no sum"):
        strategy.start(grid, model(0.0), num_rounds=1)
    return [str(event["reason"]) for event in grid.told("reply-dropped")]


def test_nothing_secret_stays_in_the_state() -> None:
    """After a round the state that clients keep is as it was before."""
    grid = FakeGrid(secure())
    SecAggPlus(FedAvg(fraction_evaluate=0)).start(grid, model(0.0), num_rounds=2)
    assert [dict(context.state) for context in grid._contexts.values()] == [{}] * 4


@pytest.mark.parametrize(
    "settings",
    [
        {"num_shares": 5},
        {"num_shares": 5, "reconstruction_threshold": 2},
        {"clipping_range": 0.0},
        {"metrics_clipping_range": float("inf")},
        {"max_weight": 0},
        {"quantization_range": 2},
        {"quantization_range": 2**52, "max_weight": 2**30},
        {"dropout_tolerance": 1.0},
        {"corruption_tolerance": -0.1},
    ],
)
def test_bad_settings(settings: dict[str, float]) -> None:
    """What makes no sense is refused when the strategy is made."""
    with pytest.raises(ConfigError):
        SecAggPlus(FedAvg(), **settings)  # type: ignore[arg-type]
