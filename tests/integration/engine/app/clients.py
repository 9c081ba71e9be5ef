"""ClientApps that behave in all the ways a worker must cope with. They need NumPy alone."""

from __future__ import annotations

import os
import signal
import sys
import threading

import numpy as np

from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


def answer(message: Message, arrays: ArrayRecord, **metrics: float) -> Message:
    """A reply of these arrays and numbers."""
    return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord(metrics)}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Add noise in place, more of it in each round that this client was in before; weigh by the partition."""
    rounds = context.state.metric_records["rounds"]["n"] if "rounds" in context.state else 0
    assert isinstance(rounds, int)
    context.state["rounds"] = MetricRecord({"n": rounds + 1})
    arrays = message.content.array_records["arrays"]
    for array in arrays.to_numpy_ndarrays():
        noise = np.random.standard_normal(array.shape).astype(array.dtype) * (rounds + 1)  # noqa: NPY002
        np.add(array, noise, out=array)
    part = context.node_config["partition-id"]
    return answer(
        message, arrays, **{"num-examples": float(part) + 1, "rounds": float(rounds), "pid": float(os.getpid())}
    )


@app.train("crash")
def crash(message: Message, context: Context) -> Message:
    """The client with partition 3 is killed; the others train."""
    if context.node_config["partition-id"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return train(message, context)


@app.train("misbehave")
def misbehave(message: Message, context: Context) -> Message:
    """Each client fails in its own way; the first does not."""
    part = context.node_config["partition-id"]
    if part == 1:
        raise ValueError("no data here")
    if part == 2:
        return None  # type: ignore[return-value]
    if part == 3:
        sys.exit(1)
    if part == 4:
        os._exit(5)
    if part == 5:
        return answer(message, ArrayRecord([np.full(7, np.nan)]), **{"num-examples": 1})
    return train(message, context)


@app.query("hang")
def hang(message: Message, context: Context) -> Message:
    """The client with partition 1 never answers."""
    if context.node_config["partition-id"] == 1:
        threading.Event().wait()
    return Message(RecordDict(), reply_to=message)


@app.query("say")
def say(message: Message, context: Context) -> Message:
    """Prints to both streams, also from a thread, and without a final line break."""
    thread = threading.Thread(target=lambda: print("from a thread"))
    thread.start()
    thread.join()
    print("error", file=sys.stderr)
    print("out", context.node_config["partition-id"])
    return Message(RecordDict(), reply_to=message)


@app.query("block")
def block(message: Message, _context: Context) -> Message:
    """Waits for a while without using a processor, as for a device or a network."""
    threading.Event().wait(0.1)
    return Message(RecordDict({"m": MetricRecord({"pid": os.getpid()})}), reply_to=message)


broken = 5
