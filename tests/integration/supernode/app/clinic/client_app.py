"""Clients whose every step a test can see and hold."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from umbel.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp, progress

app = ClientApp()


def answer(message: Message, context: Context, arrays: ArrayRecord | None = None) -> Message:
    """A reply that tells what the client saw."""
    rounds = context.state.metric_records["rounds"]["n"] if "rounds" in context.state else 0
    assert isinstance(rounds, int)
    context.state["rounds"] = MetricRecord({"n": rounds + 1})
    content = RecordDict({"m": MetricRecord({"rounds": rounds, "pid": os.getpid(), "random": float(np.random.rand())})})  # noqa: NPY002
    content["c"] = ConfigRecord({**context.node_config, "node": context.node_id})
    if arrays is not None:
        content["arrays"] = arrays
    return Message(content, reply_to=message)


def hold(message: Message) -> None:
    """Say that it has begun, then wait until the test opens the gate, a named pipe."""
    gate = str(message.content.config_records["config"].get("gate", ""))
    if gate:
        with Path(f"{gate}.begun").open("a") as begun:
            begun.write(f"{os.getpid()}\n")
        Path(gate).read_bytes()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Add one to every array, in place."""
    hold(message)
    arrays = message.content.array_records["arrays"]
    for array in arrays.to_numpy_ndarrays():
        np.add(array, 1, out=array)
    print(f"trained at {time.monotonic():.0f}")
    return answer(message, context, arrays)


@app.train("steps")
def steps(message: Message, context: Context) -> Message:
    """Tell of progress, then wait."""
    progress(3, 10)
    hold(message)
    return answer(message, context)


@app.train("crash")
def crash(message: Message, context: Context) -> Message:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)
    return answer(message, context)


@app.train("fail")
def fail(message: Message, context: Context) -> Message:
    """Raise."""
    raise ValueError("no data here")


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Tell the sum of all arrays."""
    total = sum(float(array.sum()) for array in message.content.array_records["arrays"].to_numpy_ndarrays())
    return Message(RecordDict({"m": MetricRecord({"sum": total})}), reply_to=message)
