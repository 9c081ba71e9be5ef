"""LocalDpMod: noise that is added before anything leaves the site."""

from __future__ import annotations

import logging
import math

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.context import Context
from umbel.app.message import Message
from umbel.app.records import Floats
from umbel.clientapp.clientapp import ClientFn, Stage, staged
from umbel.clientapp.mod.clipping import change_update, clipped, is_train, refused, single_record
from umbel.errors import ConfigError
from umbel.privacy import gaussian
from umbel.privacy.clipping import NOISY_TYPES
from umbel.privacy.gaussian import analytic_stddev, classic_stddev

log = logging.getLogger(__name__)


@staged(Stage.CLIP, Stage.NOISE)
class LocalDpMod:
    """Local differential privacy: the update of each train reply is clipped, and Gaussian noise added to each of its elements.

        Δ ← clip(Δ, clipping_norm) + N(0, σ² I),        σ = sensitivity · √(2 ln(1.25 / δ)) / ε

    *Adjacency and sensitivity.* `sensitivity` is how far two neighbouring data sets of this client can move the clipped update. Any two data
    sets move it by at most 2 · `clipping_norm`: with that, no observer of the reply, the server included, can distinguish the
    client's data from any other. With `clipping_norm` alone the guarantee is only that they cannot tell an update from none.

    *Formula.* Dwork & Roth 2014, theorem A.1, is proven for ε below 1. Where the exact condition (Balle & Wang 2018, arXiv 1805.06530)
    asks for more noise, which happens at large ε, that much is added.

    *When it does not hold.* ε and δ are those of one reply: a client that replies in T rounds spends more, by
    `umbel.privacy.accounting` with a noise multiplier of σ / sensitivity. Metrics are not touched. For the lowest bits of
    floating-point numbers see `umbel.privacy.gaussian`.

    >>> app = ClientApp(mods=[LocalDpMod(clipping_norm=1.0, sensitivity=2.0, epsilon=1.0, delta=1e-5)])
    """

    def __init__(
        self, clipping_norm: float, sensitivity: float, epsilon: float, delta: float, *, seed: int | None = None
    ) -> None:
        """All above 0, δ below 1. `seed` is for tests only: noise that everybody can repeat protects nothing. Raises ConfigError."""
        settings = {"clipping_norm": clipping_norm, "sensitivity": sensitivity, "epsilon": epsilon, "delta": delta}
        for name, value in settings.items():
            if not 0 < value < (1 if name == "delta" else math.inf):
                raise ConfigError(
                    f"{name} of LocalDpMod must be above 0{' and below 1' * (name == 'delta')}, not {value}."
                )
        if sensitivity < 2 * clipping_norm:
            log.warning(
                "LocalDpMod: a sensitivity of %g hides whether a client contributed an update, but not which of two data sets it "
                "has; that requires 2 x clipping_norm = %g.",
                sensitivity,
                2 * clipping_norm,
            )
        self.clipping_norm = clipping_norm
        self.stddev = max(classic_stddev(sensitivity, epsilon, delta), analytic_stddev(sensitivity, epsilon, delta))
        self._seed = seed

    def __call__(self, message: Message, context: Context, call_next: ClientFn) -> Message:
        """The reply with clipped and noisy arrays; an error reply (MOD_FAILED_PRECONDITION) when there is not one ArrayRecord on each side."""
        if not is_train(message):
            return call_next(message, context)
        try:
            _check_types(single_record(message.content, ArrayRecord, "The message"))
            key = self._key(message)
            return change_update(message, context, call_next, lambda update, _: self._protect(update, key))
        except ValueError as reason:
            return refused(message, "LocalDpMod", reason)

    def _protect(self, update: list[Floats], key: bytes) -> bool:
        clipped(update, self.clipping_norm)
        for number, tensor in enumerate(update):
            gaussian.add_gaussian(tensor, self.stddev, key, b"%d" % number)
        return True

    def _key(self, message: Message) -> bytes:
        key = gaussian.new_key(self._seed)
        asked = message.metadata
        label = f"{asked.run_id}/{asked.dst_node_id}/{asked.message_id}"
        return key if self._seed is None else gaussian.derive(key, label.encode())


def _check_types(arrays: ArrayRecord) -> None:
    for name, array in arrays.items():
        if array.dtype not in NOISY_TYPES:
            raise ValueError(f"Noise cannot be added to array {name!r} of dtype {array.dtype}.")
