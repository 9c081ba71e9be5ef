"""The strategies of the older API: one file for each algorithm, on the arithmetic of Umbel's own."""

from umbel.compat.flwr.legacy.strategy.bulyan import Bulyan
from umbel.compat.flwr.legacy.strategy.dpadaptive import (
    DifferentialPrivacyClientSideAdaptiveClipping,
    DifferentialPrivacyServerSideAdaptiveClipping,
)
from umbel.compat.flwr.legacy.strategy.dpfedavg import DPFedAvgAdaptive, DPFedAvgFixed
from umbel.compat.flwr.legacy.strategy.dpfixed import (
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideFixedClipping,
)
from umbel.compat.flwr.legacy.strategy.faulttolerant import FaultTolerantFedAvg
from umbel.compat.flwr.legacy.strategy.fedadagrad import FedAdagrad
from umbel.compat.flwr.legacy.strategy.fedadam import FedAdam
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.fedavgandroid import FedAvgAndroid
from umbel.compat.flwr.legacy.strategy.fedavgm import FedAvgM
from umbel.compat.flwr.legacy.strategy.fedmedian import FedMedian
from umbel.compat.flwr.legacy.strategy.fedopt import FedOpt
from umbel.compat.flwr.legacy.strategy.fedprox import FedProx
from umbel.compat.flwr.legacy.strategy.fedtrimmedavg import FedTrimmedAvg
from umbel.compat.flwr.legacy.strategy.fedxgbbagging import FedXgbBagging
from umbel.compat.flwr.legacy.strategy.fedxgbcyclic import FedXgbCyclic
from umbel.compat.flwr.legacy.strategy.fedyogi import FedYogi
from umbel.compat.flwr.legacy.strategy.krum import Krum
from umbel.compat.flwr.legacy.strategy.qfedavg import QFedAvg
from umbel.compat.flwr.legacy.strategy.strategy import Strategy

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
    "FedXgbNnAvg": "its models were Python objects, which no message carries. Use FedXgbBagging or FedXgbCyclic.",
}
