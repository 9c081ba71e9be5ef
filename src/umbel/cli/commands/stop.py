"""`umbel stop`."""

from __future__ import annotations

from umbel.cli.output import Format, print_json
from umbel.cli.parameters import FormatOption, IgnoredFederationConfig, RunArgument, SuperLinkArgument


def stop(
    run: RunArgument,
    superlink: SuperLinkArgument = None,
    federation_config: IgnoredFederationConfig = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Stop a run. What it has stored so far (metrics, logs, artifacts) is kept."""
    from umbel.cli.connect import connect
    from umbel.cli.find_run import find_run
    from umbel.cli.view import status_text

    client = connect(superlink)
    before = find_run(client, run)
    view = client.stop_run(before.run_id)
    if output is Format.JSON:
        print_json({"success": True, "run-id": view.run_id, "status": status_text(view)})
    elif before.status == "finished":
        print(f"Run {view.run_id} had already ended: {before.sub_status}.")
    elif view.status == "finished":
        print(f"Run {view.run_id} is stopped.")
    else:
        print(f"Run {view.run_id} is being stopped.")
