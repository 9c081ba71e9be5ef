"""A hundred clients a round, whatever the number of those enrolled."""

from __future__ import annotations

import gc

import numpy as np
import psutil

from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()
CLIENTS = 100


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run federated averaging."""
    enrolled = len(grid.get_node_ids())
    FedAvg(fraction_train=CLIENTS / enrolled, fraction_evaluate=0.0).start(
        grid=grid,
        initial_arrays=ArrayRecord([np.zeros(1000, np.float32)]),
        num_rounds=int(context.run_config["num-server-rounds"]),
        evaluate_fn=measure,
    )


def measure(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """Resident bytes of this process, of its workers, and of the SuperLink."""
    gc.collect()
    simulation = psutil.Process()
    superlink = simulation.parents()[1]
    workers = [rss(worker) for worker in simulation.children()]
    return MetricRecord(
        {"simulation": rss(simulation), "workers": sum(workers) / len(workers), "superlink": rss(superlink)}
    )


def rss(process: psutil.Process) -> float:
    """Resident bytes of a process."""
    return float(process.memory_info().rss)
