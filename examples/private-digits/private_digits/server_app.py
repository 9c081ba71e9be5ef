"""The ServerApp: averages of clipped updates with noise for the requested epsilon."""

from private_digits import task
from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.privacy.gaussian import noise_multiplier_for
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import DifferentialPrivacyClientSideFixedClipping, FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run federated averaging with differential privacy; an epsilon of 0 stands for no noise, to compare with."""
    config = context.run_config
    rounds, epsilon, delta = config["num-server-rounds"], config["epsilon"], config["delta"]
    strategy = DifferentialPrivacyClientSideFixedClipping(
        FedAvg(fraction_evaluate=0),
        noise_multiplier=noise_multiplier_for(epsilon, delta, rounds) if epsilon else 0.0,
        clipping_norm=config["clipping-norm"],
        num_sampled_clients=len(grid.get_node_ids()),
        delta=delta,
        epsilon_budget=epsilon or None,
    )
    strategy.start(grid, ArrayRecord(task.initial_weights()), rounds, evaluate_fn=test)


def test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """The accuracy on images that belong to none of the people."""
    _, x, _, y = task.load_data()
    return MetricRecord({"accuracy": task.accuracy(arrays.to_numpy_ndarrays(), x, y)})
