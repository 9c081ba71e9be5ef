"""Strategies: one file for each algorithm, and what they share."""

from umbel.serverapp.strategy.callback import BestModel, Callback, EarlyStopping, RoundResult
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.fedmedian import FedMedian
from umbel.serverapp.strategy.fedprox import FedProx
from umbel.serverapp.strategy.result import Result
from umbel.serverapp.strategy.strategy import Strategy

__all__ = [
    "BestModel",
    "Callback",
    "EarlyStopping",
    "FedAvg",
    "FedMedian",
    "FedProx",
    "Result",
    "RoundResult",
    "Strategy",
]
