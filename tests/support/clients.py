"""Small clients and replies that the strategy tests use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from umbel.app import ArrayRecord, Context, Error, ErrorCode, Message, MetricRecord, RecordDict


def answer(message: Message, context: Context) -> Message:
    """Node k trains w ← w / 2 + k with k examples; its loss is the mean of w, in training before it, in evaluation as it is."""
    node = context.node_id
    arrays = message.content.array_records["arrays"]
    loss = float(np.mean([array.numpy().mean() for array in arrays.values()]))
    metrics = MetricRecord({"num-examples": node, "loss": loss})
    if message.metadata.message_type == "evaluate":
        return Message(RecordDict({"metrics": metrics}), reply_to=message)
    trained = ArrayRecord([array.numpy() / np.float32(2) + np.float32(node) for array in arrays.values()])
    return Message(RecordDict({"arrays": trained, "metrics": metrics}), reply_to=message)


Client = Callable[[Message, Context], Message]


def failing(*nodes: int) -> Client:
    """A client that raises on these nodes."""

    def client(message: Message, context: Context) -> Message:
        if context.node_id in nodes:
            raise RuntimeError("no data")
        return answer(message, context)

    return client


def sending(bad: ArrayRecord | None, *nodes: int, **metrics: float) -> Client:
    """A client that, on these nodes, sends `bad` arrays or bad metrics."""

    def client(message: Message, context: Context) -> Message:
        reply = answer(message, context)
        if context.node_id in nodes:
            reply.content.metric_records["metrics"].update(metrics)
            if bad is not None and message.metadata.message_type == "train":
                reply.content["arrays"] = bad
        return reply

    return client


def model(*values: float) -> ArrayRecord:
    """One float32 tensor, "0", of these values."""
    return ArrayRecord([np.array(values, dtype=np.float32)])


def asked(node_id: int) -> Message:
    """A train message to a node."""
    return Message(RecordDict(), node_id, "train")


def reply(node_id: int, arrays: ArrayRecord | None = None, **metrics: Any) -> Message:
    """The reply of a node; `num_examples` is 1 unless given."""
    numbers = {"num-examples": metrics.pop("num_examples", 1), **metrics}
    content = RecordDict({"metrics": MetricRecord(numbers)})
    if arrays is not None:
        content["arrays"] = arrays
    return Message(content, reply_to=asked(node_id))


def failure(node_id: int) -> Message:
    """The reply of a node whose app raised."""
    return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "no data"), reply_to=asked(node_id))


def bits(arrays: ArrayRecord) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """What two records must share to be the same to the last bit."""
    return {name: (array.dtype, array.shape, array.storage.tobytes()) for name, array in arrays.items()}
