"""The strategies of the older API: one file for each algorithm, on the arithmetic of Umbel's own."""

from umbel.compat.flwr.legacy.strategy.dp import (
    DifferentialPrivacyClientSideAdaptiveClipping,
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideAdaptiveClipping,
    DifferentialPrivacyServerSideFixedClipping,
    DPFedAvgAdaptive,
    DPFedAvgFixed,
)
from umbel.compat.flwr.legacy.strategy.fedavg import FaultTolerantFedAvg, FedAvg, FedAvgAndroid, FedProx, QFedAvg
from umbel.compat.flwr.legacy.strategy.robust import Bulyan, FedMedian, FedTrimmedAvg, Krum
from umbel.compat.flwr.legacy.strategy.server_optimizers import FedAdagrad, FedAdam, FedAvgM, FedOpt, FedYogi
from umbel.compat.flwr.legacy.strategy.strategy import Strategy
from umbel.compat.flwr.legacy.strategy.xgboost import FedXgbBagging, FedXgbCyclic

__all__ = [
    "Bulyan",
    "DPFedAvgAdaptive",
    "DPFedAvgFixed",
    "DifferentialPrivacyClientSideAdaptiveClipping",
    "DifferentialPrivacyClientSideFixedClipping",
    "DifferentialPrivacyServerSideAdaptiveClipping",
    "DifferentialPrivacyServerSideFixedClipping",
    "FaultTolerantFedAvg",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgAndroid",
    "FedAvgM",
    "FedMedian",
    "FedOpt",
    "FedProx",
    "FedTrimmedAvg",
    "FedXgbBagging",
    "FedXgbCyclic",
    "FedYogi",
    "Krum",
    "QFedAvg",
    "Strategy",
]

MISSING = {
    "FedXgbNnAvg": "its models were Python objects, which messages cannot carry. Use FedXgbBagging or FedXgbCyclic.",
}
