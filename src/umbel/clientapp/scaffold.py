"""Client mod of SCAFFOLD: the control variate of a client, stored in `context.state`.

    app = ClientApp(mods=[scaffold_mod])

The app adds `Correction` to its gradients and reports `local-steps` and `learning-rate`; see `umbel.serverapp.strategy.Scaffold`.
"""

from __future__ import annotations

from umbel.app.context import Context
from umbel.app.message import Message
from umbel.clientapp.clientapp import ClientFn
from umbel.clientapp.drift import CONTROL, arrays_of, flat_record, is_train, kept, number_above_0, numbers_of, record_of

_STATE = "scaffold"


def scaffold_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Pass c - c_i to the app as the record `control`, and return the change of c_i.

    With the received arrays w and the arrays y returned after K steps of learning rate η,

        c_i ← c_i - c + (w - y) / (K η)

    (Karimireddy et al. 2019, arXiv 1910.06378, option II). `local-steps` is K and `learning-rate` η in the app's MetricRecord; where η
    changes between steps, its mean. Other messages than train messages are passed on unchanged. Raises ValueError if the message or
    the reply lacks a required record or metric.
    """
    if not is_train(message):
        return call_next(message, context)
    if CONTROL not in message.content.array_records:
        raise ValueError("scaffold_mod received no record 'control': use it with the strategy Scaffold.")
    received = arrays_of(message.content)
    before = numbers_of(received)
    shared = numbers_of(message.content.array_records[CONTROL])
    own = kept(context.state, _STATE, before)
    message.content[CONTROL] = record_of({name: shared[name] - own[name] for name in shared}, received)
    reply = call_next(message, context)
    if reply.has_error():
        return reply
    travelled = number_above_0(reply, "local-steps") * number_above_0(reply, "learning-rate")
    trained = arrays_of(reply.content)
    after = numbers_of(trained)
    changes = {name: (before[name] - after[name]) / travelled - shared[name] for name in shared}
    context.state[_STATE] = flat_record({name: own[name] + changes[name] for name in changes})
    reply.content[CONTROL] = record_of(changes, trained)
    return reply
