"""The ClientApp: trees grown on the patients of one clinic."""

from federated_trees import task
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


def my_data(context: Context):
    return task.load_partition(context.node_config["partition-id"], context.node_config["num-partitions"])


def forest_in(msg: Message):
    return task.from_bytes(msg.content["arrays"].to_numpy_ndarrays()[0])


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Grow some trees on top of the forest that came. Bagging wants the new trees alone, cyclic training the whole forest."""
    run = context.run_config
    x, _, y, _ = my_data(context)
    bagging = run["strategy"] == "bagging"
    share = 1 / context.node_config["num-partitions"] if bagging else 1
    start = forest_in(msg)
    forest = task.grow(start, x, y, run["local-rounds"], run["learning-rate"] * share)
    if bagging and start is not None:
        forest = forest[start.num_boosted_rounds() :]
    content = {"arrays": ArrayRecord([task.to_bytes(forest)]), "metrics": MetricRecord({"num-examples": len(y)})}
    return Message(RecordDict(content), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Say how good the forest is for patients that this clinic has kept apart."""
    _, x, _, y = my_data(context)
    metrics = MetricRecord({**task.evaluate(forest_in(msg), x, y), "num-examples": len(y)})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
