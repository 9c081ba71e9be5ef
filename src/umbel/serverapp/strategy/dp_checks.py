"""What differential privacy cannot protect is refused here."""

from __future__ import annotations

import math

from umbel.app.arrayrecord import ArrayRecord
from umbel.errors import ConfigError
from umbel.privacy.update import NOISY_TYPES
from umbel.serverapp.reduction import WeightedMean
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.strategy import Strategy, folds


def refuse_unprotectable(strategy: Strategy) -> None:
    """Raise ConfigError unless the strategy needs no more of its replies than their mean."""
    if not (isinstance(strategy, FedAvg) and folds(strategy) and type(strategy.train_reduction()) is WeightedMean):
        raise ConfigError(
            f"{type(strategy).__name__} cannot be protected: it needs more of its replies than their mean, and how far one client "
            "can move that is not bounded by clipping.",
            hint="Wrap a strategy that averages: FedAvg, FedProx, FedAvgM, FedAdam and the like.",
        )


def refuse_other_draws(strategy: Strategy) -> None:
    """Raise ConfigError unless the strategy draws its clients uniformly without replacement."""
    if getattr(type(strategy), "_sample", None) is not FedAvg._sample:  # noqa: SLF001 - what is compared is the draw itself
        raise ConfigError(
            f"{type(strategy).__name__} draws its clients in a way of its own, for which no gain is known.",
            hint="Leave out secret_sample.",
        )


def check_types(arrays: ArrayRecord) -> None:
    """Raise ConfigError for arrays to which no noise can be added: booleans, unsigned and very short whole numbers."""
    for name, array in arrays.items():
        if array.dtype not in NOISY_TYPES:
            raise ConfigError(
                f"Array {name!r} is of type {array.dtype}, to which no noise can be added.",
                hint="Keep it out of the arrays that are trained.",
            )


def check_number(name: str, value: float, *, or_zero: bool = False) -> None:
    """Raise ConfigError unless the setting is finite and above 0, or 0 where that is allowed."""
    if not (0 < value < math.inf or (or_zero and value == 0)):
        raise ConfigError(f"{name} must be a finite number {'of 0 or more' if or_zero else 'above 0'}, not {value}.")
