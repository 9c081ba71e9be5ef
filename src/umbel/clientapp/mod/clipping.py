"""Mods that clip a client's update before it leaves the site."""

from __future__ import annotations

import math

from umbel.app.configrecord import ConfigRecord
from umbel.app.context import Context
from umbel.app.elements import Floats
from umbel.app.message import Message
from umbel.app.metricrecord import MetricRecord
from umbel.app.recorddict import RecordDict
from umbel.clientapp.clientapp import ClientFn
from umbel.clientapp.mod.replying import change_update, clipped, is_train, refused, the_one
from umbel.clientapp.modorder import Stage, staged

_CLIPPING_NORM = "clipping_norm"
_NORM_BIT = "norm_bit"


@staged(Stage.CLIP)
def fixedclipping_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Clip the update of a train reply to the `clipping_norm` in the message's configuration: see `umbel.privacy.clipping`.

    For DifferentialPrivacyClientSideFixedClipping. By itself it gives no privacy: it bounds what one client can do to the sum that the
    server adds noise to. Replies with an error (MOD_FAILED_PRECONDITION) unless the message holds one ArrayRecord and one ConfigRecord with
    that number, and the reply the same tensors.
    """
    if not is_train(message):
        return call_next(message, context)
    try:
        bound = _bound(message)
        return change_update(message, context, call_next, lambda update, _: clipped(update, bound))
    except ValueError as reason:
        return refused(message, "fixedclipping_mod", reason)


@staged(Stage.CLIP)
def adaptiveclipping_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """As fixedclipping_mod, and set `norm_bit` in the reply's one MetricRecord: 1 where the update was within the norm, else 0.

    For DifferentialPrivacyClientSideAdaptiveClipping, which adds noise to the sum of the bits as well.
    """
    if not is_train(message):
        return call_next(message, context)
    try:
        bound = _bound(message)
        return change_update(message, context, call_next, lambda update, content: _with_bit(update, content, bound))
    except ValueError as reason:
        return refused(message, "adaptiveclipping_mod", reason)


def _with_bit(update: list[Floats], content: RecordDict, bound: float) -> bool:
    metrics: MetricRecord = the_one(content, MetricRecord, "The reply")
    was_longer = clipped(update, bound)
    metrics[_NORM_BIT] = int(not was_longer)
    return was_longer


def _bound(message: Message) -> float:
    bound = the_one(message.content, ConfigRecord, "The message").get(_CLIPPING_NORM)
    if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not 0 < bound < math.inf:
        raise ValueError(
            f"The message's configuration holds no number {_CLIPPING_NORM!r} above 0: "
            "does the ServerApp use the strategy with client-side clipping that belongs to this mod?"
        )
    return float(bound)
