"""lifespan: a Flower app with code that runs around it."""

from collections.abc import Iterator

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.lifespan()
def lifespan(context: Context) -> Iterator[None]:
    """Count in the state of the client how often it begins and ends."""
    if "steps" not in context.state:
        context.state["steps"] = MetricRecord({"entered": 0, "called": 0, "exited": 0})
    steps = context.state.metric_records["steps"]
    steps["entered"] += 1
    yield
    steps["exited"] += 1


@app.query()
def query(msg: Message, context: Context) -> Message:
    """Tell the counts."""
    steps = context.state.metric_records["steps"]
    steps["called"] += 1
    return Message(RecordDict({"steps": MetricRecord(dict(steps))}), reply_to=msg)
