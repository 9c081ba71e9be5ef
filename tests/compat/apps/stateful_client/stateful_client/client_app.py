"""stateful_client: a Flower app whose clients remember."""

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Train the body, which all share, and the head, which stays here."""
    partition = context.node_config["partition-id"]
    if "head" not in context.state:
        context.state["head"] = ArrayRecord([np.full(4, float(partition))])
        context.state["notes"] = ConfigRecord({"rounds": [], "name": f"client {partition}", "raw": b"\x00"})
    (head,) = context.state["head"].to_numpy_ndarrays()
    body = msg.content["arrays"]["body"].numpy()
    head += 0.5 * (body - head + 1)
    body += 0.1 * head
    context.state["head"] = ArrayRecord([head])
    notes = context.state.config_records["notes"]
    notes["rounds"] = [*notes["rounds"], msg.content["config"]["server-round"]]

    metrics = MetricRecord({"num-examples": 5 + partition, "rounds": len(notes["rounds"])})
    content = RecordDict({"arrays": ArrayRecord({"body": Array(body)}), "metrics": metrics})
    return Message(content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Tell what is remembered."""
    head = context.state["head"]["0"].numpy()
    rounds = context.state["notes"]["rounds"]
    metrics = {
        "num-examples": 5,
        "head": float(head.sum()),
        "last": rounds[-1],
        "size": context.state["head"].count_bytes(),
    }
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=msg)
