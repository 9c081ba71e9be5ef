"""`umbel pull`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umbel.cli.output import Format, print_json
from umbel.cli.parameters import FormatOption, IgnoredFederationConfig, RunArgument, SuperLinkArgument


def pull(
    run: RunArgument,
    superlink: SuperLinkArgument = None,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write. Default: ./NAME-RUN.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Write the checkpoints too.")] = False,
    federation_config: IgnoredFederationConfig = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Write a run's results into a folder: its artifacts (the model), and its metrics as JSON, CSV, HTML and PNG."""
    from umbel.cli.connect import connect
    from umbel.cli.find_run import find_run
    from umbel.cli.pull import pull_run

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
    if view.status != "finished":
        print("The run goes on: pull it again later for the rest.")
