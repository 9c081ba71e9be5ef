"""Tables of runs and nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel.cli.output import clean
from umbel.cli.report import ago, app_text, cause_place, clock, elapsed, status_text, timestamp

if TYPE_CHECKING:
    from umbel.wire.api import NodeView, RunView


LOCAL_FEDERATION = "@local/default"
UNLIMITED = 1000  # characters of a line that no terminal wraps
STATUS_STYLES = {
    "pending": "yellow",
    "starting": "yellow",
    "running": "cyan",
    "finished:completed": "green",
    "finished:failed": "red",
    "finished:stopped": "yellow",
}


def row_payload(run: RunView) -> dict[str, object]:
    """One run of the JSON answer."""
    return {
        "run-id": run.run_id,
        "federation": run.federation,
        "fab-id": run.bundle.fab_id,
        "fab-name": run.bundle.fab_id.rpartition("/")[2],
        "fab-version": run.bundle.fab_version,
        "fab-hash": run.bundle.fab_hash,
        "status": status_text(run),
        "elapsed": clock(elapsed(run)),
        "status-changed-at": timestamp(changed_at(run)),
        "pending-at": timestamp(run.pending_at),
        "starting-at": timestamp(run.starting_at),
        "running-at": timestamp(run.running_at),
        "finished-at": timestamp(run.finished_at),
        "round": run.round,
        "num-rounds": run.num_rounds,
        "waiting-for": run.waiting_for,
        "seed": run.seed,
        "run-config": run.run_config,
        "federation-config": run.federation_config,
        "attempts": run.attempts,
        "bytes-sent": run.bytes_sent,
        "bytes-recv": run.bytes_recv,
        "serverapp-runtime": run.serverapp_seconds,
        "clientapp-runtime": run.clientapp_seconds,
        "error-message": run.cause.message if run.cause else None,
        "error-code": run.cause.code if run.cause else None,
    }


def changed_at(run: RunView) -> float:
    """When the run came into its present status."""
    return run.finished_at or run.running_at or run.starting_at or run.pending_at


def round_text(run: RunView) -> str:
    """`3/10`, `3` while the number of rounds is unknown, empty before the first."""
    if run.num_rounds:
        return f"{run.round}/{run.num_rounds}"
    return str(run.round) if run.round else ""


def print_table(runs: list[RunView]) -> None:
    """All runs, one row each, the reason of a wait below its status."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not runs:
        print("There are no runs yet. Start one with `umbel run`.")
        return
    federated = any(run.federation != LOCAL_FEDERATION for run in runs)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Run", *(["Federation"] if federated else []), "App", "Status", "Round", "Elapsed", "Changed"):
        table.add_column(name, no_wrap=name not in ("App", "Status"), overflow="fold")
    for run in runs:
        status = Text(status_text(run), style=STATUS_STYLES.get(status_text(run), ""))
        if run.waiting_for:
            status.append(f"\n{clean(run.waiting_for)}", style="yellow")
        places = [run.federation] if federated else []
        facts = [round_text(run), clock(elapsed(run)), ago(changed_at(run))]
        table.add_row(*map(clean, [str(run.run_id), *places, app_text(run)]), status, *facts)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = UNLIMITED
    console.print(table)


def print_detail(run: RunView) -> None:
    """Everything about one run, a line for each fact."""
    rows = [(name, value) for name, value in _facts(run).items() if value]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(clean(f"{name:<{width}}  {value}"))


def _facts(run: RunView) -> dict[str, str | None]:
    return {
        "Run": str(run.run_id),
        "Federation": run.federation,
        "App": app_text(run),
        "Bundle hash": run.bundle.fab_hash,
        "Status": status_text(run),
        "Waiting": run.waiting_for,
        "Round": round_text(run),
        "Elapsed": clock(elapsed(run)),
        "Seed": str(run.seed),
        "Run config": _pairs(run.run_config),
        "Federation config": _pairs(run.federation_config),
        "Pending at": timestamp(run.pending_at),
        "Starting at": timestamp(run.starting_at),
        "Running at": timestamp(run.running_at),
        "Finished at": timestamp(run.finished_at),
        "Attempts": str(run.attempts),
        "Traffic": f"{run.bytes_sent} bytes to clients, {run.bytes_recv} bytes from clients",
        "Compute": f"{run.serverapp_seconds:.1f} s ServerApp, {run.clientapp_seconds:.1f} s ClientApps",
        "Cause": f"{run.cause.message} ({run.cause.code})" if run.cause else None,
        "Where": cause_place(run.cause) if run.cause else None,
        "What to do": run.cause.hint if run.cause else None,
    }


def _pairs(config: dict[str, bool | int | float | str]) -> str:
    return " ".join(f"{key}={value!r}" for key, value in config.items())


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
        print("There are no nodes yet. Register one with `umbel supernode register`, or start a SuperNode.")
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
