"""Client mod of FedDyn: the dual variable of a client, stored in `context.state`.

    app = ClientApp(mods=[feddyn_mod])

The app adds `Correction` to its gradients; see `umbel.serverapp.strategy.FedDyn`.
"""

from __future__ import annotations

from umbel.app.context import Context
from umbel.app.message import Message
from umbel.clientapp.clientapp import ClientFn
from umbel.clientapp.drift import CONTROL, arrays_of, flat_record, is_train, kept, numbers_of, proximal_mu, record_of

_STATE = "feddyn"


def feddyn_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Pass -λ to the app as the record `control`, and store the updated λ.

    With the received arrays w^t and the returned arrays w,

        λ ← λ - α (w - w^t)

    (Acar et al. 2021, arXiv 2111.04263), which is the gradient of the client's own loss at w where training has
    converged. α is `proximal-mu` in the configuration. Other messages than train messages are passed on unchanged. Raises ValueError if α is missing.
    """
    if not is_train(message):
        return call_next(message, context)
    alpha = proximal_mu(message.content)
    if not alpha:
        raise ValueError("feddyn_mod received no 'proximal-mu' greater than 0: use it with the strategy FedDyn.")
    received = arrays_of(message.content)
    before = numbers_of(received)
    dual = kept(context.state, _STATE, before)
    message.content[CONTROL] = record_of({name: -values for name, values in dual.items()}, received)
    reply = call_next(message, context)
    if reply.has_error():
        return reply
    after = numbers_of(arrays_of(reply.content))
    context.state[_STATE] = flat_record({name: dual[name] - alpha * (after[name] - before[name]) for name in before})
    return reply
