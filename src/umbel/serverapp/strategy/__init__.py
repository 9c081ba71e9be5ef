"""Strategies: one file for each algorithm, and what they share."""

from umbel.serverapp.rounds.callbacks import BestModel, Callback, EarlyStopping, RoundResult
from umbel.serverapp.rounds.result import Result
from umbel.serverapp.strategy.control_variates import FedDyn, Scaffold
from umbel.serverapp.strategy.dp import DifferentialPrivacy
from umbel.serverapp.strategy.dp_clipping import (
    DifferentialPrivacyClientSideAdaptiveClipping,
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideAdaptiveClipping,
    DifferentialPrivacyServerSideFixedClipping,
)
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.fednova import FedNova
from umbel.serverapp.strategy.fedprox import FedProx
from umbel.serverapp.strategy.krum import Bulyan, Krum, MultiKrum
from umbel.serverapp.strategy.qfedavg import QFedAvg
from umbel.serverapp.strategy.robust import FedMedian, FedTrimmedAvg
from umbel.serverapp.strategy.secagg import SecAggPlus
from umbel.serverapp.strategy.server_optimizers import FedAdagrad, FedAdam, FedAvgM, FedYogi
from umbel.serverapp.strategy.strategy import Strategy
from umbel.serverapp.strategy.xgboost import FedXgbBagging, FedXgbCyclic

__all__ = [
    "BestModel",
    "Bulyan",
    "Callback",
    "DifferentialPrivacy",
    "DifferentialPrivacyClientSideAdaptiveClipping",
    "DifferentialPrivacyClientSideFixedClipping",
    "DifferentialPrivacyServerSideAdaptiveClipping",
    "DifferentialPrivacyServerSideFixedClipping",
    "EarlyStopping",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedDyn",
    "FedMedian",
    "FedNova",
    "FedProx",
    "FedTrimmedAvg",
    "FedXgbBagging",
    "FedXgbCyclic",
    "FedYogi",
    "Krum",
    "MultiKrum",
    "QFedAvg",
    "Result",
    "RoundResult",
    "Scaffold",
    "SecAggPlus",
    "Strategy",
]
