"""The arithmetic of the older API's strategies, by Umbel's own: each takes (ndarrays, number of examples) of each client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from umbel.app.arrayrecord import ArrayRecord
from umbel.compat.flwr.legacy.clientmanager import ClientProxy
from umbel.compat.flwr.legacy.typing import FitRes, NDArrays, parameters_to_ndarrays
from umbel.errors import AggregationFailed, ConfigError
from umbel.serverapp.aggregation.replies import mean_of
from umbel.serverapp.strategy.krum import krum_order, mean_around_median, squared_distances
from umbel.serverapp.strategy.robust import by_coordinate, coordinate_median, trimmed_mean

__all__ = [
    "aggregate",
    "aggregate_bulyan",
    "aggregate_inplace",
    "aggregate_krum",
    "aggregate_median",
    "aggregate_qffl",
    "aggregate_trimmed_avg",
    "weighted_loss_avg",
]

Results = list[tuple[NDArrays, int]]


def aggregate(results: Results) -> NDArrays:
    """The mean, weighted by the numbers of examples. Raises AggregationFailed when these sum to 0."""
    return _mean(_models(results), [num_examples for _, num_examples in results])


def aggregate_inplace(results: list[tuple[ClientProxy, FitRes]]) -> NDArrays:
    """As `aggregate`, of the clients' answers."""
    return aggregate([(parameters_to_ndarrays(res.parameters), res.num_examples) for _, res in results])


def aggregate_median(results: Results) -> NDArrays:
    """The median of each element, unweighted."""
    return coordinate_median(_models(results)).to_numpy_ndarrays()


def aggregate_trimmed_avg(results: Results, proportiontocut: float) -> NDArrays:
    """The mean of each element without that share of the values at each end, unweighted. Raises ValueError outside of [0, 0.5)."""
    if not 0 <= proportiontocut < 0.5:
        raise ValueError(f"`proportiontocut` must be in [0, 0.5), not {proportiontocut}.")
    cut = int(proportiontocut * len(results))
    return by_coordinate(_models(results), lambda values: trimmed_mean(values, cut)).to_numpy_ndarrays()


def aggregate_krum(results: Results, num_malicious: int, to_keep: int) -> NDArrays:
    """The model that has the nearest neighbours; with `to_keep` above 0, the weighted mean of that number of such models."""
    models = _models(results)
    order = krum_order(squared_distances(models), num_malicious, range(len(models)))
    if to_keep <= 0:
        return results[order[0]][0]
    kept = sorted(order[:to_keep])
    return _mean([models[index] for index in kept], [results[index][1] for index in kept])


def aggregate_bulyan(
    results: Results, num_malicious: int, aggregation_rule: Callable[..., NDArrays], **aggregation_rule_kwargs: Any
) -> NDArrays:
    """Of θ = n - 2f models chosen one by one by `aggregation_rule`, each element's mean of the θ - 2f values nearest to the median.

    Raises ValueError with fewer than 4f + 3 results, ConfigError for another rule than `aggregate_krum`.
    """
    if aggregation_rule is not aggregate_krum:
        raise ConfigError("Bulyan selects its models with `aggregate_krum`; other rules are not Byzantine-robust.")
    if len(results) < 4 * num_malicious + 3:
        raise ValueError(
            f"Bulyan requires {4 * num_malicious + 3} results to tolerate {num_malicious} malicious clients, but there are {len(results)}."
        )
    models = _models(results)
    distances = squared_distances(models)
    left = list(range(len(models)))
    theta = len(models) - 2 * num_malicious
    chosen = []
    for _ in range(theta):
        best = krum_order(distances[np.ix_(left, left)], num_malicious, left)[0]
        chosen.append(models[left.pop(best)])
    return by_coordinate(
        chosen, lambda values: mean_around_median(values, theta - 2 * num_malicious)
    ).to_numpy_ndarrays()


def aggregate_qffl(parameters: NDArrays, deltas: list[NDArrays], hs_fll: Sequence[Any]) -> NDArrays:
    """W - Σ_k Δ_k / Σ_k h_k."""
    total = float(np.sum(np.asarray(hs_fll)))
    moves = [sum(layers[1:], start=layers[0]) for layers in zip(*deltas, strict=True)]
    return [before - move / total for before, move in zip(parameters, moves, strict=True)]


def weighted_loss_avg(results: list[tuple[int, float]]) -> float:
    """The mean of (number of examples, loss). Raises ZeroDivisionError when there are no examples."""
    return sum(num_examples * loss for num_examples, loss in results) / sum(num_examples for num_examples, _ in results)


def _models(results: Results) -> list[ArrayRecord]:
    return [ArrayRecord([np.asarray(layer) for layer in ndarrays]) for ndarrays, _ in results]


def _mean(models: Sequence[ArrayRecord], weights: Sequence[float]) -> NDArrays:
    try:
        return mean_of(models, weights).to_numpy_ndarrays()
    except ValueError as reason:
        raise AggregationFailed(
            f"The clients' models cannot be averaged: {reason}",
            hint="Have each client return finite numbers and its number of examples.",
        ) from reason
