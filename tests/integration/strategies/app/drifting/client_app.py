"""Each client minimises its own parabola."""

from __future__ import annotations

import numpy as np

from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp, ClientFn, Mod
from umbel.clientapp.correction import Correction
from umbel.clientapp.feddyn import feddyn_mod
from umbel.clientapp.scaffold import scaffold_mod

MODS: dict[str, Mod] = {"scaffold": scaffold_mod, "feddyn": feddyn_mod}


def chosen(message: Message, context: Context, call_next: ClientFn) -> Message:
    """The mod of the run's strategy, where it has one."""
    mod = MODS.get(str(context.run_config["strategy"]))
    return call_next(message, context) if mod is None else mod(message, context, call_next)


app = ClientApp(mods=[chosen])


@app.train()
def train(message: Message, context: Context) -> Message:
    """Some steps down."""
    client = int(context.node_config["partition-id"])
    steps, curvature, optimum = 5 + client, 0.5 + client / 10, np.float32(client - 4)
    correction = Correction(message)
    (w,) = message.content.array_records["arrays"].to_numpy_ndarrays()
    loss = float(np.mean((w - optimum) ** 2))
    for _ in range(steps):
        gradient = np.float32(curvature) * (w - optimum)
        correction.add([gradient], [w])
        w = w - np.float32(0.1) * gradient
    metrics = {"num-examples": 1 + client, "local-steps": steps, "learning-rate": 0.1, "train_loss": loss}
    return Message(RecordDict({"arrays": ArrayRecord([w]), "metrics": MetricRecord(metrics)}), reply_to=message)
