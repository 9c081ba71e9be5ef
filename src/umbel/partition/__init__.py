"""Ways to divide one data set among clients, to imitate federated data in a simulation.

Each function is pure: arrays and a seed in, `Partitions` out. Every sample's index lands in exactly one partition, the
same seed gives the same partitions, and NumPy is all it needs.

    from umbel.partition import dirichlet

    parts = dirichlet(labels, 100, alpha=0.5, seed=1)
    x_7, y_7 = x[parts[7]], y[parts[7]]  # the data of client 7
"""

from umbel.partition.label_skew import dirichlet, dirichlet_equal, shards
from umbel.partition.partitions import Indices, Partitions, by_id
from umbel.partition.size_skew import iid, quantity

__all__ = ["Indices", "Partitions", "by_id", "dirichlet", "dirichlet_equal", "iid", "quantity", "shards"]
