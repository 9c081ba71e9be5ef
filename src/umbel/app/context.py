"""Context: what an app's function knows besides the message."""

from __future__ import annotations

from dataclasses import dataclass, field

from umbel.app.recorddict import RecordDict

UserConfigValue = bool | float | int | str
UserConfig = dict[str, UserConfigValue]


@dataclass
class Context:
    """The run, the node, their settings, and a state that stays.

    `node_config` holds `partition-id` (0 … num-partitions - 1) and `num-partitions` in a simulation. `state` belongs to
    this node in this run: what a ClientApp writes there it finds again in the next round.
    """

    run_id: int
    node_id: int
    node_config: UserConfig = field(default_factory=dict)
    state: RecordDict = field(default_factory=RecordDict)
    run_config: UserConfig = field(default_factory=dict)
