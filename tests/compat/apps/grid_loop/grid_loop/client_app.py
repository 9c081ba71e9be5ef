"""grid_loop: a Flower app that talks to the Grid itself."""

from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Add the partition's number to the model; one client fails in the second round."""
    partition = context.node_config["partition-id"]
    if partition == 1 and msg.content["config"]["round"] == 2:
        raise RuntimeError("not this time")
    (model,) = msg.content["model"].to_numpy_ndarrays()
    model += 1 + partition
    return Message(RecordDict({"model": ArrayRecord([model])}), reply_to=msg)
