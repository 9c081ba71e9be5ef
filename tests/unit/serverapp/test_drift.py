"""Strategies for clients that do unlike work or have unlike data: FedNova, Scaffold, FedDyn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clients import Client, bits, model, reply
from tests.support.examples import examples
from tests.support.fake_grid import FakeGrid, WorkersGrid
from tests.unit.serverapp.rounds import one_round, values
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp.clientapp import Mod, wrap
from umbel.clientapp.correction import Correction
from umbel.clientapp.feddyn import feddyn_mod
from umbel.clientapp.scaffold import scaffold_mod
from umbel.errors import ConfigError, InconsistentReplies
from umbel.serverapp.strategy import FedAvg, FedDyn, FedNova, Scaffold, Strategy

# Node k minimises CURVATURE[k] / 2 · (w - OPTIMUM[k])²: data as unlike as they can be.
OPTIMUM = {2: -10.0, 3: 2.0, 4: 30.0}
CURVATURE = {2: 1.0, 3: 3.0, 4: 0.5}
BEST = sum(CURVATURE[k] * OPTIMUM[k] for k in OPTIMUM) / sum(CURVATURE.values())


def quadratic(*mods: Mod, steps: dict[int, int] | None = None) -> Client:
    """A client that makes some gradient steps on its own quadratic."""

    def train(message: Message, context: Context) -> Message:
        node = context.node_id
        correction = Correction(message)
        (w,) = message.content.array_records["arrays"].to_numpy_ndarrays()
        count = (steps or {}).get(node, 10)
        for _ in range(count):
            gradient = CURVATURE[node] * (w - OPTIMUM[node])
            correction.add([gradient], [w])
            w = w - 0.1 * gradient
        metrics = MetricRecord({"num-examples": 1, "local-steps": count, "learning-rate": 0.1})
        return Message(RecordDict({"arrays": ArrayRecord([w]), "metrics": metrics}), reply_to=message)

    return wrap(train, mods)


def end_of(strategy: Strategy, client: Client, rounds: int = 60) -> float:
    """The weight after that many rounds with all three nodes."""
    result = strategy.start(FakeGrid(client, [2, 3, 4]), ArrayRecord([np.zeros(1)]), rounds)
    return values(result.arrays)[0]


def test_fedavg_misses_the_optimum() -> None:
    """The reason for all this: with unlike clients the mean of what they trained is not where the sum of their losses is least."""
    assert abs(end_of(FedAvg(fraction_evaluate=0), quadratic()) - BEST) > 0.5


def test_scaffold_finds_the_optimum() -> None:
    """With control variates the same clients agree on the optimum."""
    assert end_of(Scaffold(fraction_evaluate=0), quadratic(scaffold_mod)) == pytest.approx(BEST, abs=1e-3)


def test_feddyn_finds_the_optimum() -> None:
    """With bent losses they do so too."""
    assert end_of(FedDyn(alpha=1.0, fraction_evaluate=0), quadratic(feddyn_mod)) == pytest.approx(BEST, abs=1e-3)


def test_fednova_forgives_unlike_work() -> None:
    """Small steps: FedAvg ends near the optimum of the client with the most steps, FedNova near the common one."""
    client = quadratic(steps={2: 1, 3: 1, 4: 20})
    averaged, normalised = (end_of(kind(fraction_evaluate=0), client, 400) for kind in (FedAvg, FedNova))
    assert abs(normalised - BEST) < abs(averaged - BEST) / 3


def test_fednova_by_hand() -> None:
    """From w = 10 with n = (1, 3), a = (2, 4): τ = (2 + 12) / 4 = 3.5; the changes per step are -1 and 2."""
    replies = [
        reply(1, model(8), num_examples=1, **{"local-steps": 2}),
        reply(2, model(18), num_examples=3, **{"local-steps": 4}),
    ]
    arrays, _ = one_round(FedNova(), model(10), replies)
    assert arrays == model(10 + 3.5 * (0.25 * -1 + 0.75 * 2))


@settings(max_examples=examples(25))
@given(
    st.lists(st.tuples(st.floats(-100, 100, width=32), st.integers(1, 50)), min_size=1, max_size=6), st.integers(1, 9)
)
def test_fednova_of_equal_work_is_fedavg(clients: list[tuple[float, int]], steps: int) -> None:
    """Where all make the same number of steps."""
    replies = [reply(k, model(v), num_examples=n, **{"local-steps": steps}) for k, (v, n) in enumerate(clients, 1)]
    (nova, _), (averaged, _) = one_round(FedNova(), model(1), replies), one_round(FedAvg(), model(1), replies)
    assert nova is not None
    assert averaged is not None
    assert values(nova) == pytest.approx(values(averaged), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("steps", [0, -1, float("nan"), float("inf"), [1]])
def test_replies_without_steps(steps: Any) -> None:
    """A number of steps that is none drops the reply by name."""
    strategy = FedNova()
    good = reply(1, model(2), **{"local-steps": 1})
    arrays, _ = one_round(strategy, model(0), [good, reply(2, model(9), **{"local-steps": steps})])
    assert arrays == model(2)
    with pytest.raises(InconsistentReplies, match="number of local steps"):
        one_round(strategy, model(0), [reply(2, model(9))])


def changed(node: int, arrays: ArrayRecord, control: ArrayRecord) -> Message:
    """A reply with the change of a control variate."""
    answer = reply(node, arrays)
    answer.content["control"] = control
    return answer


def test_scaffold_by_hand() -> None:
    """Two of four clients reply; η_g = 0.5: half the mean move, and half the mean change of c."""
    strategy = Scaffold(server_learning_rate=0.5, num_clients=4)
    replies = [changed(1, model(12), model(3)), changed(2, model(16), model(5))]
    arrays, _ = one_round(strategy, model(10), replies)
    assert arrays == model(12)
    assert strategy.state().array_records["control"]["0"].numpy().tolist() == [2]
    (message, *_) = strategy.configure_train(2, model(12), RecordDict(), FakeGrid(quadratic()))  # type: ignore[arg-type]
    assert message.content.array_records["control"] == model(2)


def test_scaffold_without_its_mod() -> None:
    """Replies without a change of c are refused; the reason names the mod."""
    with pytest.raises(InconsistentReplies, match="scaffold_mod"):
        one_round(Scaffold(), model(10), [reply(1, model(12))])


def test_feddyn_by_hand() -> None:
    """α = 0.5, two of four: h = -0.5 · 2/4 · 4 = -1, so w = mean + 2; when all then stay, h pushes on."""
    strategy = FedDyn(alpha=0.5, num_clients=4)
    arrays, _ = one_round(strategy, model(10), [reply(1, model(12)), reply(2, model(16), num_examples=9)])
    assert arrays == model(14 + 2)
    arrays, _ = one_round(strategy, model(16), [reply(1, model(16))], 2)
    assert arrays == model(18)


@pytest.mark.parametrize(
    ("strategy", "mods"),
    [(FedNova, []), (Scaffold, [scaffold_mod]), (FedDyn, [feddyn_mod])],
    ids=["FedNova", "Scaffold", "FedDyn"],
)
def test_workers_fold_them(strategy: Any, mods: list[Mod]) -> None:
    """Folded by the grid or in workers' subtrees: the same bits, and never the replies one by one."""
    grids = [kind(quadratic(*mods), [2, 3, 4]) for kind in (FakeGrid, WorkersGrid)]
    results = [strategy(fraction_evaluate=0).start(grid, ArrayRecord([np.zeros(1)]), 4) for grid in grids]
    assert bits(results[0].arrays) == bits(results[1].arrays)
    assert [grid.reduced for grid in grids] == [4, 4]


@pytest.mark.parametrize(
    ("kind", "arguments", "name"),
    [
        (Scaffold, {"server_learning_rate": 0.0}, "server_learning_rate"),
        (Scaffold, {"num_clients": 0}, "num_clients"),
        (FedDyn, {"alpha": 0.0}, "alpha"),
        (FedDyn, {"alpha": float("nan")}, "alpha"),
    ],
)
def test_wrong_arguments(kind: type[FedAvg], arguments: dict[str, Any], name: str) -> None:
    """A value outside its range is refused by name."""
    with pytest.raises(ConfigError, match=f"{name} must be"):
        kind(**arguments)
