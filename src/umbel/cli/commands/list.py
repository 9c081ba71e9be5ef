"""`umbel list`."""

from __future__ import annotations

from typing import Annotated

import typer

from umbel.cli.output import Format, print_json
from umbel.cli.parameters import FormatOption, IgnoredFederationConfig, SuperLinkArgument


def list_runs(
    superlink: SuperLinkArgument = None,
    run_id: Annotated[
        str | None,
        typer.Option("--run-id", metavar="RUN", help="Show one run in detail: its id, a prefix of it, or 'last'."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Show at most so many runs, newest first.")
    ] = None,
    federation_config: IgnoredFederationConfig = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """List the runs of a SuperLink, newest first."""
    from umbel.cli import runs_table
    from umbel.cli.connect import connect
    from umbel.cli.find_run import find_run
    from umbel.errors import UsageError

    if run_id is not None and limit is not None:
        raise UsageError("--run-id and --limit exclude each other.", hint="Give one of them.")
    client = connect(superlink)
    runs = client.list_runs(limit) if run_id is None else [find_run(client, run_id)]
    if output is Format.JSON:
        print_json({"success": True, "runs": [runs_table.row_payload(run) for run in runs]})
    elif run_id is not None:
        runs_table.print_detail(runs[0])
    else:
        runs_table.print_table(runs)
