"""`umbel log`."""

from __future__ import annotations

from typing import Annotated

import typer

from umbel.cli.parameters import IgnoredFederationConfig, RunArgument, SuperLinkArgument


def log(
    run: RunArgument,
    superlink: SuperLinkArgument = None,
    stream: Annotated[
        bool, typer.Option("--stream/--show", help="Follow the log to the run's end, or show what is there and end.")
    ] = True,
    node: Annotated[
        int | None, typer.Option("--node", metavar="NODE_ID", min=0, help="Show the lines of this node only.")
    ] = None,
    federation_config: IgnoredFederationConfig = None,
) -> None:
    """Show a run's log lines, each with its time, level, source, node and round. Ctrl-C leaves the run alone."""
    from umbel.cli.connect import connect
    from umbel.cli.find_run import find_run
    from umbel.cli.log import follow_log, show_log

    client = connect(superlink)
    run_id = find_run(client, run).run_id
    if stream:
        follow_log(client, run_id, node)
    else:
        show_log(client, run_id, node)
