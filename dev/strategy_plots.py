"""Draw the curve of each strategy for its reference page: docs/_static/strategies/NAME.svg.

Each picture compares a strategy with FedAvg on a task that shows what it is for: softmax regression on scikit-learn's handwritten
digits, divided among 20 clients so that each holds a few classes only; with dishonest clients, noise or trees where the strategy is about them.
Takes names of strategies; without any, draws all.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.clientapp.correction import Correction
from umbel.clientapp.feddyn import feddyn_mod
from umbel.clientapp.mod import adaptiveclipping_mod, fixedclipping_mod, secaggplus_mod
from umbel.clientapp.scaffold import scaffold_mod
from umbel.partition import dirichlet
from umbel.privacy.gaussian import noise_multiplier_for
from umbel.serverapp import Grid, ServerApp, strategy
from umbel.simulation.run import run_simulation
from umbel.simulation.settings import SimulationSettings

TARGET = Path(__file__).resolve().parent.parent / "docs" / "_static" / "strategies"
CLIENTS, ROUNDS, SEEDS = 20, 30, (0, 1, 2)
Array = NDArray[np.float64]
Arrays = list[Array]


@dataclass(frozen=True)
class Scenario:
    """One curve: a strategy, the clients' mods, and what is special about the clients."""

    make: Callable[[], Any]
    mods: tuple[Any, ...] = ()
    clients: int = CLIENTS
    alpha: float = 0.1  # of the Dirichlet distribution: small is unequal
    dishonest: int = 0  # clients that send random arrays
    steps: int = 50
    uneven_steps: bool = False  # clients take from 5 to 100 local steps
    measure: str = "accuracy"


@functools.cache
def data() -> tuple[Array, Array, Array, Array]:
    """Training images and labels, test images and labels."""
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x / 16, y, test_size=0.2, random_state=0)
    return x, y, x_test, y_test


def gradients(weights: Array, bias: Array, x: Array, y: Array) -> Arrays:
    """The gradients of the mean cross-entropy."""
    logits = x @ weights + bias
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1.0
    return [x.T @ p / len(y), p.mean(axis=0)]


def loss(weights: Array, bias: Array, x: Array, y: Array) -> float:
    """The mean cross-entropy."""
    logits = x @ weights + bias
    logits = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]))


def accuracies(parameters: Arrays, parts: Sequence[NDArray[np.int64]]) -> dict[str, float]:
    """The accuracy on the test images, and on the training images of the client that fares worst."""
    (weights, bias), (x, y, x_test, y_test) = parameters, data()
    right = np.argmax(x @ weights + bias, axis=1) == y
    worst = min(float(right[part].mean()) for part in parts)
    return {"accuracy": float(np.mean(np.argmax(x_test @ weights + bias, axis=1) == y_test)), "worst client": worst}


def client_app(scenario: Scenario, parts: Sequence[NDArray[np.int64]], seed: int) -> ClientApp:
    """The clients of a scenario."""
    app, (x, y, _, _) = ClientApp(mods=list(scenario.mods)), data()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        part = parts[client]
        weights, bias = message.content.array_records["arrays"].to_numpy_ndarrays()
        before = loss(weights, bias, x[part], y[part])
        steps = 5 + 95 * client // CLIENTS if scenario.uneven_steps else scenario.steps
        correction = Correction(message)
        for _ in range(steps):
            step = gradients(weights, bias, x[part], y[part])
            correction.add(step, [weights, bias])
            weights, bias = weights - 0.5 * step[0], bias - 0.5 * step[1]
        if client < scenario.dishonest:
            rng = np.random.default_rng([seed, client])
            weights, bias = rng.normal(scale=5.0, size=weights.shape), rng.normal(scale=5.0, size=bias.shape)
        numbers = {"num-examples": len(part), "local-steps": steps, "learning-rate": 0.5, "train_loss": before}
        content = RecordDict({"arrays": ArrayRecord([weights, bias]), "metrics": MetricRecord(numbers)})
        return Message(content, reply_to=message)

    return app


@functools.cache
def curve(scenario: Scenario, seed: int) -> list[float]:
    """What the scenario measures, after each round."""
    _, y, _, _ = data()
    parts = dirichlet(y, scenario.clients, alpha=scenario.alpha, seed=1 + seed)
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
            return MetricRecord({scenario.measure: accuracies(arrays.to_numpy_ndarrays(), parts)[scenario.measure]})

        initial = ArrayRecord([np.zeros((64, 10)), np.zeros(10)])
        scenario.make().start(grid, initial, num_rounds=ROUNDS, evaluate_fn=evaluate)

    settings = SimulationSettings(num_supernodes=scenario.clients, backend="inline")
    result = run_simulation((server, client_app(scenario, parts, seed)), settings=settings, seed=seed)
    return list(result.series(scenario.measure).values())


def trees_curve(name: str) -> list[float]:
    """The test accuracy of a forest grown by a strategy for XGBoost, at ten sites with equal shares of the digits."""
    x, y, x_test, y_test = data()
    server, client, sites = ServerApp(), ClientApp(), 10
    parameters = {"objective": "multi:softmax", "num_class": 10, "max_depth": 3, "eta": 0.3, "nthread": 1}

    def forest_of(record: ArrayRecord) -> Any:
        (raw,) = record.to_numpy_ndarrays()
        return xgboost.Booster(parameters, model_file=bytearray(raw.tobytes())) if raw.size else None

    @client.train()
    def train(message: Message, context: Context) -> Message:
        site = int(context.node_config["partition-id"])
        matrix = xgboost.DMatrix(x[site::sites], y[site::sites])
        start = forest_of(message.content.array_records["arrays"])
        forest = xgboost.train(parameters, matrix, num_boost_round=1, xgb_model=start)
        if name == "FedXgbBagging" and start is not None:
            forest = forest[start.num_boosted_rounds() :]
        raw = np.frombuffer(bytes(forest.save_raw("json")), np.uint8)
        metrics = MetricRecord({"num-examples": matrix.num_row()})
        return Message(RecordDict({"arrays": ArrayRecord([raw]), "metrics": metrics}), reply_to=message)

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
            forest = forest_of(arrays)
            accuracy = 0.1 if forest is None else np.mean(forest.predict(xgboost.DMatrix(x_test)) == y_test)
            return MetricRecord({"accuracy": float(accuracy)})

        chosen = getattr(strategy, name)(fraction_evaluate=0.0)
        chosen.start(grid, ArrayRecord([np.empty(0, np.uint8)]), num_rounds=15, evaluate_fn=evaluate)

    settings = SimulationSettings(num_supernodes=sites, backend="inline")
    return list(run_simulation((server, client), settings=settings).series("accuracy").values())


def averaging(**changes: Any) -> dict[str, Any]:
    """The sampling that all curves share: a quarter of the clients in each round."""
    return {"fraction_train": 0.25, "fraction_evaluate": 0.0, **changes}


def everyone() -> dict[str, Any]:
    """All clients train in each round."""
    return averaging(fraction_train=1.0)


def private(name: str) -> Callable[[], Any]:
    """A differentially private strategy over 200 clients: epsilon 8 after all rounds."""
    fixed = {"clipping_norm": 1.0} if "Fixed" in name else {"initial_clipping_norm": 1.0}
    noise = noise_multiplier_for(8.0, 1e-5, ROUNDS)
    return lambda: getattr(strategy, name)(
        strategy.FedAvg(**everyone()), noise_multiplier=noise, num_sampled_clients=200, delta=1e-5, **fixed
    )


PLAIN = Scenario(lambda: strategy.FedAvg(**averaging()))
ATTACKED = Scenario(lambda: strategy.FedAvg(**everyone()), dishonest=4, alpha=1.0)
MANY = Scenario(lambda: strategy.FedAvg(**everyone()), clients=200, alpha=1.0, steps=10)
UNEVEN = Scenario(lambda: strategy.FedAvg(**everyone()), uneven_steps=True)
UNFAIR = Scenario(lambda: strategy.FedAvg(**everyone()), measure="worst client")
ADAPTIVE = {"eta": 0.1, "eta_l": 0.5, "tau": 0.05}


def attacked(name: str, **arguments: Any) -> tuple[Scenario, Scenario]:
    """A robust rule and FedAvg, with 4 of 20 clients dishonest."""
    made = Scenario(lambda: getattr(strategy, name)(**everyone(), **arguments), dishonest=4, alpha=1.0)
    return made, ATTACKED


def plain(name: str, *mods: Any, **arguments: Any) -> tuple[Scenario, Scenario]:
    """A strategy and FedAvg, on unequal data."""
    return Scenario(lambda: getattr(strategy, name)(**averaging(), **arguments), mods=mods), PLAIN


def protected(name: str, *mods: Any) -> tuple[Scenario, Scenario]:
    """A differentially private strategy, and FedAvg with as many clients."""
    return Scenario(private(name), mods=mods, clients=200, alpha=1.0, steps=10), MANY


FIGURES: dict[str, tuple[Scenario, Scenario | None]] = {
    "FedAvg": (PLAIN, None),
    "FedProx": plain("FedProx", proximal_mu=0.1),
    "FedAvgM": plain("FedAvgM", server_momentum=0.7),
    "FedAdagrad": plain("FedAdagrad", **ADAPTIVE),
    "FedAdam": plain("FedAdam", **ADAPTIVE),
    "FedYogi": plain("FedYogi", **ADAPTIVE),
    "Scaffold": plain("Scaffold", scaffold_mod),
    "FedDyn": plain("FedDyn", feddyn_mod, alpha=0.1),
    "FedNova": (Scenario(lambda: strategy.FedNova(**everyone()), uneven_steps=True), UNEVEN),
    "QFedAvg": (
        Scenario(lambda: strategy.QFedAvg(**everyone(), client_learning_rate=0.5, q=1.0), measure="worst client"),
        UNFAIR,
    ),
    "FedMedian": attacked("FedMedian"),
    "FedTrimmedAvg": attacked("FedTrimmedAvg", beta=0.25),
    "Krum": attacked("Krum", num_malicious_nodes=4),
    "MultiKrum": attacked("MultiKrum", num_malicious_nodes=4, num_nodes_to_select=10),
    "Bulyan": attacked("Bulyan", num_malicious_nodes=4),
    "SecAggPlus": (
        Scenario(lambda: strategy.SecAggPlus(strategy.FedAvg(**everyone())), mods=(secaggplus_mod,), clients=10),
        Scenario(lambda: strategy.FedAvg(**everyone()), clients=10),
    ),
    "DifferentialPrivacyServerSideFixedClipping": protected("DifferentialPrivacyServerSideFixedClipping"),
    "DifferentialPrivacyClientSideFixedClipping": protected(
        "DifferentialPrivacyClientSideFixedClipping", fixedclipping_mod
    ),
    "DifferentialPrivacyServerSideAdaptiveClipping": protected("DifferentialPrivacyServerSideAdaptiveClipping"),
    "DifferentialPrivacyClientSideAdaptiveClipping": protected(
        "DifferentialPrivacyClientSideAdaptiveClipping", adaptiveclipping_mod
    ),
}
TREES = ("FedXgbBagging", "FedXgbCyclic")


def band(axes: Any, curves: list[list[float]], label: str, colour: str, style: str = "-") -> None:
    """The mean of the curves, and the range from the lowest to the highest."""
    stacked = np.array(curves)
    rounds = np.arange(stacked.shape[1])
    axes.plot(rounds, stacked.mean(axis=0), style, color=colour, label=label, linewidth=1.8)
    axes.fill_between(rounds, stacked.min(axis=0), stacked.max(axis=0), color=colour, alpha=0.15, linewidth=0)


def draw(name: str) -> None:
    """Draw a strategy's picture."""
    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    measure = "accuracy"
    if name in TREES:
        band(axes, [trees_curve(name)], name, "#4f46e5")
    else:
        shown, reference = FIGURES[name]
        measure = shown.measure
        band(axes, [curve(shown, seed) for seed in SEEDS], name, "#4f46e5")
        if reference is not None:
            band(axes, [curve(reference, seed) for seed in SEEDS], "FedAvg", "#94a3b8", "--")
    axes.set(xlabel="round", ylabel="test accuracy" if measure == "accuracy" else "accuracy of the worst client")
    axes.set_ylim(0, 1)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(TARGET / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def main(names: list[str]) -> None:
    """Draw the pictures of these strategies, by default of all."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "umbel"
    mpl.rcParams["font.size"] = 9
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in names or [*FIGURES, *TREES]:
        draw(name)
        print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
