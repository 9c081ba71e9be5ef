"""Implementation of `umbel run`: check and bundle the app, submit the run, follow it, report the result."""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from umbel.cli.config import Connection, open_client, read_connections
from umbel.cli.follow import Interrupted
from umbel.cli.output import print_json, print_warning
from umbel.cli.report import elapsed, status_text
from umbel.errors import RunFailed, RunStopped

if TYPE_CHECKING:
    from umbel.bundle import BuiltFab
    from umbel.cli.display import LiveDisplay, PlainDisplay
    from umbel.cli.follow import Outcome
    from umbel.wire.api import RunView, StartRun
    from umbel.wire.control import ControlClient


@dataclass(frozen=True)
class Launch:
    """What a person asked for with `umbel run`."""

    app: Path
    superlink: str | None
    run_config: list[str]
    federation_config: list[str]
    federation: str | None
    seed: int


def launch(wish: Launch, *, streaming: bool, as_json: bool) -> int:
    """Start a run and, if `streaming`, follow it; returns the exit code."""
    try:
        connection = read_connections().resolve(wish.superlink)
        fab, overrides = _bundle(wish)
        request = _request(wish, connection, fab, overrides)
        client = open_client(connection)
        client.put_object(fab.data)
    except Interrupted:
        print("Interrupted before a run was started.", file=sys.stderr)
        raise
    if streaming:
        return _follow(client, connection, request, fab, as_json=as_json)
    _say_started(client.start_run(request), fab, as_json=as_json)
    return 0


def _follow(client: ControlClient, connection: Connection, request: StartRun, fab: BuiltFab, *, as_json: bool) -> int:
    from umbel.cli.follow import follow

    with _display(sys.stderr if as_json else sys.stdout) as display:
        outcome = follow(client, lambda: open_client(connection), request, display)
    return _end(outcome, fab, display.progress.metrics, as_json=as_json)


def _bundle(wish: Launch) -> tuple[BuiltFab, dict[str, Any]]:
    from umbel.bundle import build_fab, check_components, given_fab, load_app, merge_config, parse_run_config
    from umbel.cli.output import read_file

    fab = given_fab(read_file(wish.app)) if wish.app.suffix == ".fab" else None
    config = load_app(wish.app) if fab is None else fab.config
    for warning in config.warnings:
        print_warning(warning)
    if fab is None:
        check_components(wish.app, config)
    overrides = parse_run_config(wish.run_config)
    merge_config(config.config, overrides)
    return fab or build_fab(wish.app), overrides


def _request(wish: Launch, connection: Connection, fab: BuiltFab, overrides: dict[str, Any]) -> StartRun:
    from umbel.bundle import parse_pairs
    from umbel.wire.api import StartRun

    federation = wish.federation or connection.federation
    return StartRun(
        fab_hash=fab.hash,
        **({"federation": federation} if federation else {}),
        run_config=overrides,
        federation_config={**connection.options, **parse_pairs(wish.federation_config)},
        seed=wish.seed,
        request_id=uuid.uuid4().hex,
    )


def _display(stream: TextIO) -> LiveDisplay | PlainDisplay:
    if stream.isatty():
        from umbel.cli.display import LiveDisplay

        return LiveDisplay(stream)
    from umbel.cli.display import PlainDisplay

    return PlainDisplay(stream)


def _say_started(run: RunView, fab: BuiltFab, *, as_json: bool) -> None:
    if as_json:
        print_json(started_payload(run, fab))
        return
    print(f"Started run {run.run_id}")
    print(f"Follow it:  umbel log {run.run_id}     Stop it:  umbel stop {run.run_id}")


def started_payload(run: RunView, fab: BuiltFab) -> dict[str, object]:
    """The JSON answer of `umbel run`."""
    return {
        "success": True,
        "run-id": run.run_id,
        "fab-id": fab.config.fab_id,
        "fab-name": fab.config.name,
        "fab-version": fab.config.version,
        "fab-hash": fab.hash,
        "fab-filename": fab.filename,
        "federation": run.federation,
        "seed": run.seed,
        "status": status_text(run),
    }


def ended_payload(run: RunView, fab: BuiltFab, metrics: dict[str, dict[str, Any]]) -> dict[str, object]:
    """The JSON answer of `umbel run --stream`, at the end of the run."""
    payload = started_payload(run, fab) | {
        "success": run.sub_status == "completed",
        "rounds": run.round,
        "elapsed": elapsed(run),
        "metrics": metrics,
    }
    if run.cause is not None:
        payload |= {"error-message": run.cause.message, "error-code": run.cause.code, "hint": run.cause.hint}
    return payload


def _end(outcome: Outcome, fab: BuiltFab, metrics: dict[str, dict[str, Any]], *, as_json: bool) -> int:
    from umbel.cli import report

    run = outcome.run
    if outcome.signum:
        _say_stopped(outcome)
    if run is None:
        return Interrupted(outcome.signum).exit_code
    if as_json:
        print_json(ended_payload(run, fab, metrics))
    elif run.sub_status == "completed":
        report.print_completed(run, metrics, sys.stdout)
    elif run.sub_status == "failed":
        report.print_failed(run, sys.stderr)
    elif not outcome.signum:
        print(report.stopped_line(run))
    return Interrupted(outcome.signum).exit_code if outcome.signum else exit_code(run)


def exit_code(run: RunView) -> int:
    """The exit code that a finished run stands for."""
    return {"failed": RunFailed.exit_code, "stopped": RunStopped.exit_code}.get(run.sub_status or "", 0)


def _say_stopped(outcome: Outcome) -> None:
    from umbel.cli import report

    run = outcome.run
    if run is None:
        text = "Stopped before a run was started."
        if outcome.error is not None:
            text = (
                f"The SuperLink did not respond ({outcome.error}). Check with `umbel list` whether a run was started."
            )
    elif outcome.error is not None:
        text = f"Run {run.run_id} could not be stopped ({outcome.error}). Try `umbel stop {run.run_id}`."
    elif run.sub_status in ("completed", "failed"):
        return
    else:
        text = report.stopped_line(run)
    print(text, file=sys.stderr)
