"""old_names: a Flower app from before records and grid were renamed."""

from flwr.client import ClientApp
from flwr.common import Context, Error, Message, MetricsRecord, RecordSet

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Multiply and add up; one client refuses."""
    factor = msg.content.configs_records["config"]["factor"]
    partition = context.node_config["partition-id"]
    if partition == 1 and factor == 3:
        return msg.create_error_reply(Error(code=77, reason="no"))
    weights = msg.content.parameters_records["model"]["w"].numpy()
    metrics = MetricsRecord({"sum": float(weights.sum() * factor + partition)})
    return msg.create_reply(RecordSet(metrics_records={"metrics": metrics}))
