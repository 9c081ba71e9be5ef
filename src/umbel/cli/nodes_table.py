"""Nodes as a table, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel.cli.output import clean
from umbel.cli.view import ago, timestamp

if TYPE_CHECKING:
    from umbel.wire.api import NodeView

_STYLES = {"online": "green", "silent": "yellow", "unregistered": "dim"}
_UNLIMITED = 1000  # characters of a line that no terminal wraps


def payload(node: NodeView) -> dict[str, object]:
    """One node of the JSON answer."""
    return {
        "node-id": node.node_id,
        "name": node.name,
        "status": node.state,
        "status-changed-at": timestamp(node.state_at),
        "registered-at": timestamp(node.registered_at),
        "seen-at": timestamp(node.seen_at),
        "public-key": node.public_key,
        "version": node.version,
        "slots": node.slots,
    }


def print_nodes(nodes: list[NodeView]) -> None:
    """All nodes, one row each."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not nodes:
        print("There are no nodes yet. Register one with 'umbel supernode register', or start a SuperNode.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Node", "Name", "Status", "Changed", "Registered", "Version"):
        table.add_column(name, no_wrap=True)
    for node in nodes:
        status = Text(node.state, style=_STYLES.get(node.state, ""))
        times = ago(node.state_at), ago(node.registered_at)
        table.add_row(str(node.node_id), clean(node.name), status, *times, clean(node.version))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _UNLIMITED
    console.print(table)
