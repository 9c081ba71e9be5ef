"""The experiments: each returns its figures by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from federation import Task, best_of, loss_and_accuracy, run
from tasks import digits, divided, rare_words

from umbel.app import ArrayRecord, Context, Message
from umbel.clientapp import ClientFn
from umbel.clientapp.feddyn import feddyn_mod
from umbel.clientapp.scaffold import scaffold_mod
from umbel.partition import iid, shards
from umbel.serverapp.strategy import (
    Bulyan,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedDyn,
    FedMedian,
    FedTrimmedAvg,
    FedYogi,
    Krum,
    MultiKrum,
    QFedAvg,
    Scaffold,
    Strategy,
)

Figures = dict[str, float]


def adaptive() -> Figures:
    """2003.00295: on data with rare features adaptive optimisers at the server learn faster than the mean. Accuracy after 60 rounds.

    Each strategy has its best learning rate from a grid: FedAvg of the clients' learning rate, the others of the server's.
    """
    parts, test = rare_words(100)
    rounds = 60

    def accuracy(strategy: Strategy, learning_rate: float) -> float:
        task = Task(parts, test, classes=10, steps=10, batch=10, learning_rate=learning_rate)
        return run(task, strategy, rounds).series("accuracy")[rounds]

    sampled = {"fraction_train": 0.1, "fraction_evaluate": 0.0}
    figures = {"fedavg": best_of([0.3, 1.0, 3.0, 10.0], lambda rate: accuracy(FedAvg(**sampled), rate))[0]}
    for name, kind in (("fedadagrad", FedAdagrad), ("fedadam", FedAdam), ("fedyogi", FedYogi)):
        figures[name] = best_of([0.03, 0.1, 0.3], lambda eta, kind=kind: accuracy(kind(**sampled, eta=eta), 0.3))[0]
    return figures


def heterogeneity() -> Figures:
    """1910.06378: clients with one or two digits each, 50 local steps: rounds to 90 % and the loss at the end.

    The same task for clients that all have a bit of everything, where there is nothing to correct.
    """
    (x, y), test = digits()
    divisions = {"unlike": shards(y, 20, 2, seed=0), "alike": iid(len(y), 20, seed=0)}
    figures = {}
    for division, parts in divisions.items():
        for name, (strategy, mods) in _AGAINST_DRIFT.items():
            task = Task(divided((x, y), parts), test, 10, steps=50, batch=20, learning_rate=0.5, mods=mods)
            result = run(task, strategy(), 60)
            reached = [t for t, accuracy in result.series("accuracy").items() if accuracy >= 0.9]
            figures[f"{division}-{name}-rounds"] = float(min(reached, default=61))
            figures[f"{division}-{name}-loss"] = result.series("loss")[60]
    return figures


_SAMPLED = {"fraction_train": 0.4, "fraction_evaluate": 0.0}
_AGAINST_DRIFT: dict[str, tuple[Callable[[], Strategy], list[Callable[..., Message]]]] = {
    "fedavg": (lambda: FedAvg(**_SAMPLED), []),
    "scaffold": (lambda: Scaffold(**_SAMPLED), [scaffold_mod]),
    "feddyn": (lambda: FedDyn(**_SAMPLED, alpha=0.1), [feddyn_mod]),
}


def byzantine() -> Figures:
    """1703.02757, 1803.01498, 1802.07927: 4 of 20 clients send their change back with the sign turned and ten times as long. Accuracy."""
    training, test = digits()
    parts = divided(training, iid(len(training[1]), 20, seed=0))
    every = {"fraction_evaluate": 0.0}
    strategies: dict[str, Callable[[], Strategy]] = {
        "fedavg": lambda: FedAvg(**every),
        "fedmedian": lambda: FedMedian(**every),
        "fedtrimmedavg": lambda: FedTrimmedAvg(**every, beta=0.2),
        "krum": lambda: Krum(**every, num_malicious_nodes=4),
        "multikrum": lambda: MultiKrum(**every, num_malicious_nodes=4, num_nodes_to_select=12),
        "bulyan": lambda: Bulyan(**every, num_malicious_nodes=4),
    }
    figures = {}
    for name, strategy in strategies.items():
        for kind, mods in (("honest", []), ("attacked", [flipped])):
            task = Task(parts, test, 10, steps=20, batch=20, learning_rate=0.3, mods=mods)
            figures[f"{name}-{kind}"] = run(task, strategy(), 20).series("accuracy")[20]
    return figures


def flipped(message: Message, context: Context, call_next: ClientFn) -> Message:
    """The mod of a traitor: clients 0 to 3 go ten times as far, the other way."""
    reply = call_next(message, context)
    if int(context.node_config["partition-id"]) < 4:
        sent, trained = message.content.array_records["arrays"], reply.content.array_records["arrays"]
        lies = [s.numpy() - 10 * (t.numpy() - s.numpy()) for s, t in zip(sent.values(), trained.values(), strict=True)]
        reply.content["arrays"] = ArrayRecord(lies)
    return reply


def fairness() -> Figures:
    """1905.10497: 2 of 20 clients have the digits 8 and 9, no one else has. Over the clients' accuracies: mean, spread (standard
    deviation), and the mean of those two.
    """
    (x, y), (x_test, y_test) = digits()
    parts, tests = [], []
    for chosen, clients in (([8, 9], 2), (range(8), 18)):
        mine, theirs = np.flatnonzero(np.isin(y, chosen)), np.isin(y_test, chosen)
        parts += divided((x[mine], y[mine]), iid(len(mine), clients, seed=0))
        tests += [(x_test[theirs], y_test[theirs])] * clients
    figures = {}
    for q in (0.0, 1.0, 2.0):
        task = Task(parts, (x_test, y_test), 10, steps=10, batch=20, learning_rate=0.1)
        strategy = QFedAvg(fraction_evaluate=0.0, client_learning_rate=0.1, q=q)
        weights = run(task, strategy, 150).arrays.to_numpy_ndarrays()
        accuracies = np.array([loss_and_accuracy(weights, *own)[1] for own in tests])
        figures |= {f"q-{q:g}-mean": float(accuracies.mean()), f"q-{q:g}-spread": float(accuracies.std())}
        figures[f"q-{q:g}-few"] = float(accuracies[:2].mean())
    return figures


EXPERIMENTS = {f.__name__: f for f in (adaptive, heterogeneity, byzantine, fairness)}
