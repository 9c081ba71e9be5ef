"""custom_strategy: a Flower app."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Go a step from the global arrays towards what this client would like best."""
    partition = context.node_config["partition-id"]
    rng = np.random.default_rng(partition)
    lr = msg.content["config"]["lr"]
    ndarrays = msg.content["arrays"].to_numpy_ndarrays()
    loss = 0.0
    for index, weights in enumerate(ndarrays):
        goal = rng.normal(size=weights.shape).astype(weights.dtype)
        loss += float(np.square(weights - goal).mean())
        ndarrays[index] = weights + np.float32(lr) * (goal - weights)

    metrics = MetricRecord({"train_loss": loss, "num-examples": 10 + partition})
    content = RecordDict({"arrays": ArrayRecord(ndarrays), "metrics": metrics})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Tell the mean of the global arrays."""
    ndarrays = msg.content["arrays"].to_numpy_ndarrays()
    partition = context.node_config["partition-id"]
    metrics = MetricRecord({"eval_loss": float(ndarrays[0].mean()) + partition, "num-examples": 10 + partition})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=msg)
