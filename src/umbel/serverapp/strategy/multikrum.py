"""MultiKrum: the mean of the models that have the nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from umbel.serverapp.strategy.krum import Krum
from umbel.serverapp.strategy.resilient import check_count


@dataclass(eq=False)
class MultiKrum(Krum):
    """Multi-Krum (Blanchard et al. 2017, arXiv 1703.02757): the weighted mean of the m models with Krum's lowest scores.

    m = 1 is Krum; a larger m learns from more of the honest clients at each round. With m above n - f malicious models must be
    among those selected, and already below it one that is near enough may be; the clients' weights are as they claim them, so that
    such a one may count for much. Otherwise as `Krum`.
    """

    num_nodes_to_select: int = 1
    """m, 1 or more; of fewer replies all are selected."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        check_count(self, "num_nodes_to_select", 1)

    def _survivors(self) -> int:
        return self.num_nodes_to_select
