"""query_actions: federated analytics with a Flower app."""

import numpy as np
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def load_data(context: Context) -> np.ndarray:
    """The numbers of this partition."""
    return np.random.default_rng(context.node_config["partition-id"]).normal(size=200)


def answer(msg: Message, **values) -> Message:
    """A reply with these numbers."""
    return Message(RecordDict({"answer": MetricRecord(values)}), reply_to=msg)


@app.query()
def query(msg: Message, context: Context) -> Message:
    """Tell the histogram."""
    counts, _ = np.histogram(load_data(context), bins=msg.content["question"]["bins"], range=(-4, 4))
    return answer(msg, histogram=counts.tolist())


@app.query("mean")
def mean(msg: Message, context: Context) -> Message:
    """Tell the mean."""
    return answer(msg, mean=float(load_data(context).mean()))


@app.train("shift")
def shift(msg: Message, context: Context) -> Message:
    """Tell the mean of shifted data."""
    return answer(msg, mean=float((load_data(context) + msg.content["question"]["by"]).mean()))


@app.evaluate("above")
def above(msg: Message, context: Context) -> Message:
    """Count what is above a limit."""
    return answer(msg, above=int((load_data(context) > msg.content["question"]["limit"]).sum()))
