"""Handler of the older API: a `client_fn` creates a Client for each message."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

from umbel.app.context import Context
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.clientapp.clientapp import ClientFn as Handler
from umbel.compat.flwr.legacy import record_conversion
from umbel.compat.flwr.legacy.client import Client, NumPyClient

log = logging.getLogger(__name__)

ClientFn = Callable[[str], Client]
ClientFnExt = Callable[[Context], Client]


def handler(client_fn: Callable[[Any], Client | NumPyClient]) -> Handler:
    """A function that handles every message of the older API.

    `client_fn(context)` makes the client; the oldest form, `client_fn(cid)` with the partition's id as a str, still works, with a
    warning. Raises ValueError when it takes another number of arguments.
    """
    make = _of_context(client_fn)

    def answer(message: Message, context: Context) -> Message:
        client = make(context).to_client()
        client.set_context(context)
        return Message(_answer(client, message), reply_to=message)

    return answer


def _of_context(client_fn: Callable[[Any], Client | NumPyClient]) -> Callable[[Context], Client | NumPyClient]:
    parameters = list(inspect.signature(client_fn).parameters.values())
    if len(parameters) != 1:
        raise ValueError("A `client_fn` must take one argument: `def client_fn(context: Context)`.")
    if parameters[0].name != "cid" and parameters[0].annotation not in {str, "str"}:
        return client_fn
    log.warning(
        "`client_fn(cid)` is deprecated: write `def client_fn(context: Context)`, where the id is "
        "`context.node_config['partition-id']`."
    )
    return lambda context: client_fn(str(context.node_config.get("partition-id", context.node_id)))


def _answer(client: Client, message: Message) -> RecordDict:
    content = message.content
    match message.metadata.message_type:
        case "train":
            return record_conversion.of_fit_res(client.fit(record_conversion.fit_ins(content)))
        case "evaluate":
            return record_conversion.of_evaluate_res(client.evaluate(record_conversion.evaluate_ins(content)))
        case "get_parameters":
            return record_conversion.of_get_parameters_res(
                client.get_parameters(record_conversion.get_parameters_ins(content))
            )
        case "get_properties":
            return record_conversion.of_get_properties_res(
                client.get_properties(record_conversion.get_properties_ins(content))
            )
        case other:
            raise ValueError(
                f"A `client_fn` does not handle {other!r} messages: register a function with a decorator instead."
            )
