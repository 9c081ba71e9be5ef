"""The ClientApp: training with DP-SGD on the images of one site."""

from opacus_digits import task
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Train on this site's images. The site's epsilon so far may be told: it does not depend on the images."""
    config, site = context.run_config, context.node_config
    x, y = task.load_site(site["partition-id"], site["num-partitions"])
    model = task.make_model()
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    accountant = task.account(earlier(context))
    task.train(model, x, y, config, accountant)
    keep(context, accountant.history)
    metrics = {"num-examples": len(y), "epsilon": accountant.get_epsilon(config["delta"])}
    content = {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(metrics)}
    return Message(RecordDict(content), reply_to=msg)


def earlier(context: Context):
    """The account of the rounds before: noise multiplier, sampling rate and number of steps."""
    kept = context.state.metric_records.get("account")
    if kept is None:
        return []
    return list(zip(kept["noise"], kept["rate"], kept["steps"], strict=True))


def keep(context: Context, history):
    """Remember the account for the next round."""
    noise, rate, steps = (list(column) for column in zip(*history, strict=True))
    context.state["account"] = MetricRecord({"noise": noise, "rate": rate, "steps": steps})
