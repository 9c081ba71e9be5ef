"""A client: E epochs of SGD on its 600 digits."""

from __future__ import annotations

from typing import Any

from fedavg_paper import data, mlp
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Train on this client's part, shuffled by its number and the round."""
    node: dict[str, Any] = context.node_config
    run: dict[str, Any] = context.run_config
    config: dict[str, Any] = dict(msg.content.config_records["config"])
    x, y = data.load_partition(run["partition"], node["partition-id"], node["num-partitions"], run["data-seed"])
    weights = mlp.train(
        msg.content.array_records["arrays"].to_numpy_ndarrays(),
        x,
        y,
        epochs=run["local-epochs"],
        batch=run["batch-size"],
        learning_rate=run["learning-rate"],
        seed=[run["data-seed"], config["server-round"], node["partition-id"]],
    )
    metrics = MetricRecord({"num-examples": len(y)})
    return Message(RecordDict({"arrays": ArrayRecord(weights), "metrics": metrics}), reply_to=msg)
