"""Strategies: one file for each algorithm, and what they share."""

from umbel.serverapp.strategy.bulyan import Bulyan
from umbel.serverapp.strategy.callback import BestModel, Callback, EarlyStopping, RoundResult
from umbel.serverapp.strategy.dp import DifferentialPrivacy
from umbel.serverapp.strategy.dp_adaptive import (
    DifferentialPrivacyClientSideAdaptiveClipping,
    DifferentialPrivacyServerSideAdaptiveClipping,
)
from umbel.serverapp.strategy.dp_fixed import (
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideFixedClipping,
)
from umbel.serverapp.strategy.fedadagrad import FedAdagrad
from umbel.serverapp.strategy.fedadam import FedAdam
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.fedavgm import FedAvgM
from umbel.serverapp.strategy.feddyn import FedDyn
from umbel.serverapp.strategy.fedmedian import FedMedian
from umbel.serverapp.strategy.fednova import FedNova
from umbel.serverapp.strategy.fedprox import FedProx
from umbel.serverapp.strategy.fedtrimmedavg import FedTrimmedAvg
from umbel.serverapp.strategy.fedxgb_bagging import FedXgbBagging
from umbel.serverapp.strategy.fedxgb_cyclic import FedXgbCyclic
from umbel.serverapp.strategy.fedyogi import FedYogi
from umbel.serverapp.strategy.krum import Krum
from umbel.serverapp.strategy.multikrum import MultiKrum
from umbel.serverapp.strategy.qfedavg import QFedAvg
from umbel.serverapp.strategy.result import Result
from umbel.serverapp.strategy.scaffold import Scaffold
from umbel.serverapp.strategy.secagg import SecAggPlus
from umbel.serverapp.strategy.strategy import Strategy

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
