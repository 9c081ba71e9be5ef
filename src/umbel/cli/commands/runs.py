"""Commands for runs: list, log, stop, pull."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umbel.cli.output import Format, print_json
from umbel.cli.parameters import FormatOption, IgnoredFederationConfig, RunArgument, SuperLinkArgument


def list_runs(
    superlink: SuperLinkArgument = None,
    run_id: Annotated[
        str | None,
        typer.Option("--run-id", metavar="RUN", help="Show one run in detail: its ID, a prefix of it, or 'last'."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Show at most this many runs, newest first.")
    ] = None,
    federation_config: IgnoredFederationConfig = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """List the runs of a SuperLink, newest first."""
    from umbel.cli import tables
    from umbel.cli.config import connect
    from umbel.cli.log import find_run
    from umbel.errors import UsageError

    if run_id is not None and limit is not None:
        raise UsageError("--run-id and --limit are mutually exclusive.", hint="Use only one of them.")
    client = connect(superlink)
    runs = client.list_runs(limit) if run_id is None else [find_run(client, run_id)]
    if output is Format.JSON:
        print_json({"success": True, "runs": [tables.row_payload(run) for run in runs]})
    elif run_id is not None:
        tables.print_detail(runs[0])
    else:
        tables.print_table(runs)


def log(
    run: RunArgument,
    superlink: SuperLinkArgument = None,
    stream: Annotated[
        bool,
        typer.Option("--stream/--show", help="Follow the log until the run ends, or show the existing lines and exit."),
    ] = True,
    node: Annotated[
        int | None, typer.Option("--node", metavar="NODE_ID", min=0, help="Show only the lines of this node.")
    ] = None,
    federation_config: IgnoredFederationConfig = None,
) -> None:
    """Show a run's log lines, each with its time, level, source, node and round. Ctrl-C leaves the run alone."""
    from umbel.cli.config import connect
    from umbel.cli.log import find_run, follow_log, show_log

    client = connect(superlink)
    run_id = find_run(client, run).run_id
    if stream:
        follow_log(client, run_id, node)
    else:
        show_log(client, run_id, node)


def stop(
    run: RunArgument,
    superlink: SuperLinkArgument = None,
    federation_config: IgnoredFederationConfig = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Stop a run. What it has stored so far (metrics, logs, artifacts) is kept."""
    from umbel.cli.config import connect
    from umbel.cli.log import find_run
    from umbel.cli.report import status_text

    client = connect(superlink)
    before = find_run(client, run)
    view = client.stop_run(before.run_id)
    if output is Format.JSON:
        print_json({"success": True, "run-id": view.run_id, "status": status_text(view)})
    elif before.status == "finished":
        print(f"Run {view.run_id} had already ended: {before.sub_status}.")
    elif view.status == "finished":
        print(f"Run {view.run_id} has been stopped.")
    else:
        print(f"Run {view.run_id} is being stopped.")


def pull(
    run: RunArgument,
    superlink: SuperLinkArgument = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder to write to. Default: ./NAME-RUN.", show_default=False
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also write the checkpoints.")] = False,
    federation_config: IgnoredFederationConfig = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Write a run's results into a folder: its artifacts (the model), and its metrics as JSON, CSV, HTML and PNG."""
    from umbel.cli.config import connect
    from umbel.cli.log import find_run
    from umbel.cli.results import can_draw_images, pull_run

    client = connect(superlink)
    view = find_run(client, run)
    target = folder or Path(f"{view.bundle.fab_id.rpartition('/')[2]}-{view.run_id}")
    written = pull_run(client, view, target, everything=everything)
    if output is Format.JSON:
        files = [{"name": path.name, "size": path.stat().st_size} for path in written]
        print_json({"success": True, "run-id": view.run_id, "output": str(target), "files": files})
        return
    print(f"Run {view.run_id} → {target}")
    for path in written:
        print(f"  {path.name}  {path.stat().st_size} bytes")
    if not can_draw_images() and any(path.name == "metrics.html" for path in written):
        print("metrics.png was not drawn because matplotlib is not installed: pip install 'umbel[plots]'")
    if view.status != "finished":
        print("The run has not finished: pull it again later for the remaining results.")
