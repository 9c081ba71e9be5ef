"""The ServerApp: statistics, federated training and a comparison."""

import numpy as np

from hospitals import task
from hospitals.report import print_report
from umbel.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the experiment and print its table."""
    mean, std = scale = federated_scale(grid)
    config = {"mean": mean.tolist(), "std": std.tolist()}
    result = FedAvg(min_available_nodes=task.SITES).start(
        grid=grid,
        initial_arrays=ArrayRecord([task.initial_weights()]),
        num_rounds=context.run_config["num-server-rounds"],
        train_config=ConfigRecord(config),
        evaluate_config=ConfigRecord(config),
        evaluate_fn=lambda _, arrays: test(arrays, scale),
    )
    print_report(result.arrays.to_numpy_ndarrays()[0], scale)


def federated_scale(grid: Grid):
    """Mean and standard deviation of each feature over all sites, from the sums of each."""
    nodes = grid.wait_for_nodes(task.SITES)
    questions = [Message(RecordDict(), dst_node_id=node, message_type="query") for node in nodes]
    answers = [reply.content["sums"] for reply in grid.send_and_receive(questions)]
    count = sum(answer["count"] for answer in answers)
    mean = sum(np.array(answer["sum"]) for answer in answers) / count
    mean_of_squares = sum(np.array(answer["squares"]) for answer in answers) / count
    return mean, np.sqrt(mean_of_squares - mean**2)


def test(arrays: ArrayRecord, scale) -> MetricRecord:
    """The AUC on the test people of all sites: only an experiment has them in one place."""
    _, x, _, y = task.load_all_sites()
    return MetricRecord({"auc": task.auc(task.scores(arrays.to_numpy_ndarrays()[0], x, scale), y)})
