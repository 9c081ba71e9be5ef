"""Strategies under differential privacy, and clients for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.support.clients import Client, answer
from umbel.app import ArrayRecord, Context, Message
from umbel.clientapp.clientapp import wrap
from umbel.clientapp.mod import adaptiveclipping_mod, fixedclipping_mod
from umbel.serverapp.strategy import (
    DifferentialPrivacy,
    DifferentialPrivacyClientSideAdaptiveClipping,
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideAdaptiveClipping,
    DifferentialPrivacyServerSideFixedClipping,
    FedAvg,
    Result,
    Strategy,
)

NODES = range(2, 6)
ServerFixed = DifferentialPrivacyServerSideFixedClipping
ServerAdaptive = DifferentialPrivacyServerSideAdaptiveClipping
ClientFixed = DifferentialPrivacyClientSideFixedClipping
ClientAdaptive = DifferentialPrivacyClientSideAdaptiveClipping
CLIENTS: dict[type[DifferentialPrivacy], Client] = {
    ServerFixed: answer,
    ServerAdaptive: answer,
    ClientFixed: wrap(answer, [fixedclipping_mod]),
    ClientAdaptive: wrap(answer, [adaptiveclipping_mod]),
}


def fixed(
    strategy: Strategy | None = None, z: float = 0.0, norm: float = 1.0, n: int = 4, **options: Any
) -> ServerFixed:
    """A wrapper with noise that can be repeated."""
    return ServerFixed(strategy or FedAvg(), z, norm, n, **{"seed": 1, **options})


def wrapped(cls: type[DifferentialPrivacy], z: float = 1.0, norm: float = 1.0, **options: Any) -> DifferentialPrivacy:
    """Any of the four round FedAvg, for the four nodes."""
    norms = {"clipping_norm": norm} if cls in {ServerFixed, ClientFixed} else {"initial_clipping_norm": norm}
    make: Callable[..., DifferentialPrivacy] = cls
    return make(FedAvg(), noise_multiplier=z, num_sampled_clients=4, **{"seed": 1, **norms, **options})


def moving(*updates: float) -> Client:
    """Node 2 + i moves the one element of the model by the i-th of these."""

    def client(message: Message, context: Context) -> Message:
        reply = answer(message, context)
        if message.metadata.message_type == "train":
            sent = message.content.array_records["arrays"]["0"].numpy()
            reply.content["arrays"] = ArrayRecord([sent + np.float32(updates[context.node_id - 2])])
        return reply

    return client


def value(result: Result) -> float:
    """The one element of the arrays."""
    return float(result.arrays["0"].numpy()[0])
