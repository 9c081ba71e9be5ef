from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.unit.compat.legacy.federation import OK, adding, grid_of, model, numbers, results
from umbel.compat.flwr.legacy.clientmanager import ClientProxy, SimpleClientManager
from umbel.compat.flwr.legacy.components import ServerAppComponents
from umbel.compat.flwr.legacy.gridproxy import GridClientProxy, connected
from umbel.compat.flwr.legacy.server import ServerConfig
from umbel.compat.flwr.legacy.serverapp import lead
from umbel.compat.flwr.legacy.strategy import (
    Bulyan,
    FaultTolerantFedAvg,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgAndroid,
    FedAvgM,
    FedMedian,
    FedOpt,
    FedProx,
    FedTrimmedAvg,
    FedXgbBagging,
    FedXgbCyclic,
    FedYogi,
    Krum,
    QFedAvg,
    Strategy,
)
from umbel.compat.flwr.legacy.strategy.aggregate import (
    aggregate,
    aggregate_bulyan,
    aggregate_inplace,
    aggregate_krum,
    aggregate_trimmed_avg,
    weighted_loss_avg,
)
from umbel.compat.flwr.legacy.typing import (
    EvaluateRes,
    FitRes,
    NDArray,
    Parameters,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from umbel.errors import AggregationFailed, ConfigError


def f32(values: Sequence[float]) -> NDArray:
    """An array of float32."""
    return np.array(values, dtype=np.float32)


FIT_FAILURE = ValueError("a client failed")


def fit(strategy: Strategy, *models: list[float], server_round: int = 1, **settings: Any) -> list[float]:
    """The one array of the model that a strategy makes of these."""
    parameters, _ = strategy.aggregate_fit(server_round, results(*models, **settings), [])
    return numbers(parameters)[0]


def test_fedavg_is_the_weighted_mean() -> None:
    """(1·1 + 3·5) / 4 = 4."""
    assert fit(FedAvg(), [1.0, 0.0], [5.0, 8.0], examples=[1, 3]) == [4.0, 6.0]
    assert fit(FedAvg(inplace=False), [1.0, 0.0], [5.0, 8.0], examples=[1, 3]) == [4.0, 6.0]
    assert [array.tolist() for array in aggregate_inplace(results([1.0], [5.0], examples=[1, 3]))] == [[4.0]]


def test_a_mean_keeps_the_types() -> None:
    """float32 stays float32, and whole numbers are rounded instead of cut off."""
    arrays = aggregate([([f32([1, 2]), np.array(3)], 1), ([f32([2, 3]), np.array(4)], 3)])
    assert [(array.dtype.name, array.tolist()) for array in arrays] == [("float32", [1.75, 2.75]), ("int64", 4)]


def test_no_examples_are_no_mean() -> None:
    """Weights of 0 have no mean: an error that says what to do."""
    with pytest.raises(AggregationFailed, match="number of examples"):
        aggregate([([np.zeros(1)], 0), ([np.zeros(1)], 0)])


def test_nobody_and_failures_leave_the_model() -> None:
    """Without results there is no model; with accept_failures=False one failure is enough."""
    assert FedAvg().aggregate_fit(1, [], []) == (None, {})
    assert FedAvg().aggregate_evaluate(1, [], []) == (None, {})
    strict = FedAvg(accept_failures=False)
    assert strict.aggregate_fit(1, results([1.0]), [FIT_FAILURE]) == (None, {})
    assert strict.aggregate_evaluate(1, evaluations(1.0), [FIT_FAILURE]) == (None, {})


def evaluations(*losses: float) -> list[Any]:
    """What clients 2, 3, … found, on 1, 2, … examples."""
    return [
        (GridClientProxy(index + 2, grid_of()), EvaluateRes(OK, loss, index + 1, {"n": index}))
        for index, loss in enumerate(losses)
    ]


def test_the_loss_is_the_weighted_mean() -> None:
    """(1·4 + 2·1) / 3 = 2; metrics are the callback's."""
    strategy = FedAvg(evaluate_metrics_aggregation_fn=lambda metrics: {"seen": str(metrics)})
    assert strategy.aggregate_evaluate(1, evaluations(4.0, 1.0), []) == (
        2.0,
        {"seen": "[(1, {'n': 0}), (2, {'n': 1})]"},
    )
    assert weighted_loss_avg([(1, 4.0), (2, 1.0)]) == 2.0


def test_fedprox_sends_mu() -> None:
    """`proximal_mu` joins the configuration, which all clients share."""
    manager = SimpleClientManager()
    strategy = FedProx(proximal_mu=0.3, on_fit_config_fn=lambda server_round: {"lr": 0.1})
    with connected(grid_of(), manager):
        instructions = strategy.configure_fit(1, model([0.0]), manager)
    assert {id(ins) for _, ins in instructions} == {id(instructions[0][1])}
    assert instructions[0][1].config == {"lr": 0.1, "proximal_mu": 0.3}


def test_fedmedian_is_the_median() -> None:
    """Of an even number the mean of the two in the middle; weights do not count."""
    assert fit(FedMedian(), [1.0, 9.0], [2.0, 7.0], [100.0, 8.0], examples=[1, 1, 99]) == [2.0, 8.0]
    assert fit(FedMedian(), [1.0], [2.0], [4.0], [100.0]) == [3.0]


def test_fedtrimmedavg_cuts_both_ends() -> None:
    """Of five values ⌊0.2·5⌋ = 1 at each end; β must be below a half."""
    assert fit(FedTrimmedAvg(beta=0.2), [0.0], [1.0], [2.0], [6.0], [100.0]) == [3.0]
    with pytest.raises(ValueError, match="beta"):
        FedTrimmedAvg(beta=0.5)
    with pytest.raises(ValueError, match="proportiontocut"):
        aggregate_trimmed_avg([([np.zeros(1)], 1)], 0.5)


def test_krum_takes_the_model_with_the_nearest_neighbours() -> None:
    """With n = 5 and f = 1 the two nearest count: 1.0 has the squared distances 0.01 + 0.04, the least."""
    values = [[0.9], [1.0], [1.2], [50.0], [2.0]]
    assert fit(Krum(num_malicious_clients=1), *values) == [1.0]


def test_multikrum_is_the_weighted_mean_of_the_best() -> None:
    """The two best of the same are 1.0 (0.05) and 0.9 (0.01 + 0.09); (3·1.0 + 1·0.9) / 4."""
    values = [[0.9], [1.0], [1.2], [50.0], [2.0]]
    strategy = Krum(num_malicious_clients=1, num_clients_to_keep=2)
    assert fit(strategy, *values, examples=[1, 3, 1, 1, 1]) == [pytest.approx(3.9 / 4)]


def test_bulyan_stands_up_to_one_of_seven() -> None:
    """θ = 5 models are chosen, of which each element takes the mean of the 3 nearest to the median."""
    values = [[0.0], [1.0], [2.0], [3.5], [5.0], [7.0], [1000.0]]
    # chosen by Krum one after another: 1, 2, 0, 3.5, 5; median 2; nearest 2, 1, 3.5
    assert fit(Bulyan(num_malicious_clients=1, to_keep=0), *values) == [pytest.approx(6.5 / 3)]
    with pytest.raises(ValueError, match="requires 7 results"):
        fit(Bulyan(num_malicious_clients=1, to_keep=0), *values[:6])
    with pytest.raises(ConfigError, match="aggregate_krum"):
        aggregate_bulyan([], 0, lambda **_: [])


def test_krum_gives_the_arrays_as_they_are() -> None:
    """Not a copy that was rounded."""
    arrays = [([f32([0.1])], 1), ([f32([0.1])], 1), ([f32([0.7])], 1)]
    assert aggregate_krum(arrays, 0, 0) is arrays[0][0]


def test_fedavgm_has_momentum() -> None:
    """v: 2, then 0.5·2 + (5 - 1) = 5; w: 0 + 0.5·2 = 1, then 1 + 0.5·5 = 3.5."""
    strategy = FedAvgM(initial_parameters=model([0.0]), server_learning_rate=0.5, server_momentum=0.5)
    assert strategy.initialize_parameters(SimpleClientManager()) == model([0.0])
    assert fit(strategy, [1.0], [3.0]) == [1.0]
    assert fit(strategy, [5.0], [5.0], server_round=2) == [3.5]


def test_fedavgm_without_momentum_is_fedavg() -> None:
    """It then needs no initial parameters; with it, it does."""
    assert fit(FedAvgM(), [1.0], [3.0]) == [2.0]
    with pytest.raises(ConfigError, match="initial_parameters"):
        fit(FedAvgM(server_momentum=0.9), [1.0], [3.0])


def test_fedopt_itself_is_fedavg() -> None:
    """A subclass of an app finds the current weights there."""
    strategy = FedOpt(initial_parameters=model([1.0]))
    assert fit(strategy, [1.0], [3.0]) == [2.0]
    assert [array.tolist() for array in strategy.current_weights] == [[1.0]]


def test_fedadagrad_steps() -> None:
    """W = 0, Δ = 2: v = 4, w = 0.1·2/(2 + τ); then Δ = 2 - w."""
    strategy = FedAdagrad(initial_parameters=model([0.0]), eta=0.1, tau=1e-3)
    first = 0.1 * 2 / (2 + 1e-3)
    assert fit(strategy, [2.0], [2.0]) == [pytest.approx(first)]
    delta = 2 - first
    second = first + 0.1 * delta / (math.sqrt(4 + delta**2) + 1e-3)
    assert fit(strategy, [2.0], [2.0], server_round=2) == [pytest.approx(second)]


def test_fedadam_steps() -> None:
    """W = 0, Δ = 2: m = 0.2, v = 0.04, and the step size is corrected for round 1 as for a second step."""
    strategy = FedAdam(initial_parameters=model([0.0]), eta=0.1, tau=1e-3)
    rate = 0.1 * math.sqrt(1 - 0.99**2) / (1 - 0.9**2)
    assert fit(strategy, [2.0], [2.0]) == [pytest.approx(rate * 0.2 / (0.2 + 1e-3))]


def test_fedyogi_steps() -> None:
    """W = 0, Δ = 2: m = 0.2, v = 0 + 0.01·4 as v is below Δ²."""
    strategy = FedYogi(initial_parameters=model([0.0]))
    assert fit(strategy, [2.0], [2.0]) == [pytest.approx(0.01 * 0.2 / (0.2 + 1e-3))]


def test_whole_numbers_are_not_stepped() -> None:
    """A counter among the arrays takes the mean."""
    start = Parameters(model([0.0]).tensors + model_of_ints(4).tensors, "numpy.ndarray")
    strategy = FedAdam(initial_parameters=start)
    client = results([2.0])[0][0]
    res = FitRes(OK, Parameters(model([2.0]).tensors + model_of_ints(6).tensors, "numpy.ndarray"), 1, {})
    parameters, _ = strategy.aggregate_fit(1, [(client, res)], [])
    assert parameters is not None
    assert parameters_to_ndarrays(parameters)[1] == 6


def model_of_ints(value: int) -> Parameters:
    """A model of one whole number."""
    return ndarrays_to_parameters([np.array(value)])


def test_qfedavg_attends_to_the_loss() -> None:
    """L = 10, F = 4, q = 0.5, w = 0, w_k = 1 and 3: Δ = 2·10·w_k, taken with the minus; h = 0.25·100·w_k² + 10·2."""
    strategy = QFedAvg(q_param=0.5, qffl_learning_rate=0.1, evaluate_fn=lambda *_: (4.0, {}))
    manager = SimpleClientManager()
    with connected(grid_of(), manager):
        strategy.configure_fit(1, model([0.0]), manager)
    expected = (20 * 1 + 20 * 3) / (0.25 * 100 * (1 + 9) + 2 * 20)
    assert fit(strategy, [1.0], [3.0]) == [pytest.approx(expected)]


def test_qfedavg_needs_a_loss() -> None:
    """Without an evaluate_fn it says what it lacks."""
    with pytest.raises(ConfigError, match="evaluate_fn"):
        fit(QFedAvg(), [1.0])


def test_fault_tolerance_is_a_share_of_the_clients() -> None:
    """Two of four are a half: enough for 0.5, too few for 0.6."""
    enough, too_few = FaultTolerantFedAvg(), FaultTolerantFedAvg(min_completion_rate_fit=0.6)
    failures: list[Any] = [FIT_FAILURE, FIT_FAILURE]
    assert numbers(enough.aggregate_fit(1, results([1.0], [3.0]), failures)[0]) == [[2.0]]
    assert too_few.aggregate_fit(1, results([1.0], [3.0]), failures) == (None, {})
    assert enough.aggregate_evaluate(1, evaluations(3.0), failures) == (None, {})
    assert enough.aggregate_evaluate(1, evaluations(3.0), failures[:1]) == (3.0, {})


def test_android_models_are_bare_numbers() -> None:
    """float32 without shape, in and out."""
    strategy = FedAvgAndroid(evaluate_fn=lambda _, arrays, config: (float(arrays[0].sum()), {}))
    trained = [Parameters([f32(values).tobytes()], "numpy.nda") for values in ([1, 2], [3, 6])]
    answers = [
        (client, FitRes(OK, parameters, 1, {}))
        for (client, _), parameters in zip(results([0.0], [0.0]), trained, strict=True)
    ]
    parameters, metrics = strategy.aggregate_fit(1, answers, [])
    assert parameters == Parameters([f32([2, 4]).tobytes()], "numpy.nda")
    assert metrics == {}
    assert strategy.evaluate(1, parameters) == (6.0, {})
    assert strategy.aggregate_evaluate(1, evaluations(3.0), []) == (3.0, {})


def trees(*leaves: float) -> bytes:
    """An XGBoost model of trees that are one leaf each."""
    forest = {
        "gbtree_model_param": {"num_trees": str(len(leaves)), "num_parallel_tree": "1"},
        "iteration_indptr": list(range(len(leaves) + 1)),
        "tree_info": [0] * len(leaves),
        "trees": [{"id": index, "leaf": leaf} for index, leaf in enumerate(leaves)],
    }
    params = {"num_feature": "1", "num_class": "0", "num_target": "1", "base_score": "0.5"}
    return json.dumps(
        {
            "learner": {
                "gradient_booster": {"name": "gbtree", "model": forest},
                "learner_model_param": params,
                "objective": {"name": "reg:squarederror"},
            }
        }
    ).encode()


def forests(*models: bytes) -> list[Any]:
    """Results that are models of trees."""
    clients = [client for client, _ in results(*[[0.0]] * len(models))]
    return [(client, FitRes(OK, Parameters([each], ""), 1, {})) for client, each in zip(clients, models, strict=True)]


def test_bagging_appends_the_trees() -> None:
    """Round by round, in the order of the results."""
    strategy = FedXgbBagging(evaluate_function=lambda server_round, parameters, config: (0.5, {"r": server_round}))
    strategy.aggregate_fit(1, forests(trees(1.0), trees(2.0)), [])
    parameters, _ = strategy.aggregate_fit(2, forests(trees(3.0)), [])
    assert parameters is not None
    grown = json.loads(parameters.tensors[0])["learner"]["gradient_booster"]["model"]
    assert [(tree["id"], tree["leaf"]) for tree in grown["trees"]] == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert (grown["gbtree_model_param"]["num_trees"], grown["iteration_indptr"]) == ("3", [0, 1, 2, 3])
    assert strategy.evaluate(2, parameters) == (0.5, {"r": 2})
    assert strategy.aggregate_evaluate(1, evaluations(3.0), []) == (0, {})
    assert strategy.aggregate_fit(3, [], []) == (None, {})


def test_cyclic_training_goes_from_client_to_client() -> None:
    """One client in each round; its model is the new one."""
    strategy = FedXgbCyclic(initial_parameters=Parameters([], ""))
    parameters, _ = strategy.aggregate_fit(1, forests(trees(1.0)), [])
    assert parameters == Parameters([trees(1.0)], "")


def test_the_turn_is_that_of_the_clients_the_manager_gives() -> None:
    """With a manager that keeps an order, five rounds on four nodes begin again in the fifth; train and evaluate go together."""

    class InOrder(SimpleClientManager):
        def sample(self, num_clients: int, *args: Any, **kwargs: Any) -> list[ClientProxy]:
            return list(self.all().values())[:num_clients]

    grid = grid_of(adding)
    strategy = FedXgbCyclic(initial_parameters=model([0.0]), min_fit_clients=4, min_evaluate_clients=4)
    lead(grid, ServerAppComponents(config=ServerConfig(5), strategy=strategy, client_manager=InOrder()))
    assert [nodes for _, nodes in grid.asked] == [[node] for node in (2, 2, 3, 3, 4, 4, 5, 5, 2, 2)]
