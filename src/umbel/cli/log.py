"""Logs of a run, and lookup of runs by ID."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from umbel.cli.display import log_prefix, log_text
from umbel.cli.follow import Interrupted
from umbel.cli.output import clean, styled
from umbel.errors import NotFound, UsageError

if TYPE_CHECKING:
    from umbel.wire.api import LogLine, RunView
    from umbel.wire.control import ControlClient


LAST = "last"
SEARCHED = 1000  # newest runs among which a prefix is looked for
SHOWN = 5  # candidates named in an error


def find_run(client: ControlClient, text: str) -> RunView:
    """The run that `text` stands for.

    Raises NotFound when there is none, UsageError for an ambiguous prefix or a text that is no run id at all.
    """
    if text == LAST:
        return _last(client)
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"'{text}' is not a run ID.", hint="Use a run ID, a prefix of one, or 'last'.")
    try:
        return client.get_run(int(text))
    except NotFound:
        return _by_prefix(client, text)


def _last(client: ControlClient) -> RunView:
    runs = client.list_runs(limit=1)
    if not runs:
        raise NotFound("There are no runs yet.", hint="Start one with `umbel run`.")
    return runs[0]


def _by_prefix(client: ControlClient, prefix: str) -> RunView:
    found = [run for run in client.list_runs(limit=SEARCHED) if str(run.run_id).startswith(prefix)]
    if not found:
        raise NotFound(f"Run {prefix} does not exist.", hint="List the runs with `umbel list`.")
    if len(found) > 1:
        some = ", ".join(str(run.run_id) for run in found[:SHOWN])
        raise UsageError(
            f"'{prefix}' matches {len(found)} runs: {some}{' …' if len(found) > SHOWN else ''}.",
            hint="Use more digits.",
        )
    return found[0]


_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def show_log(client: ControlClient, run_id: int, node_id: int | None = None) -> None:
    """Write the lines stored so far; those of a node, if one is given."""
    for line in client.logs(run_id, node_id):
        write_line(line)


def follow_log(client: ControlClient, run_id: int, node_id: int | None = None) -> None:
    """Write the lines (those of a node, if one is given) until the run is over; a signal only ends the watching."""
    try:
        for item in client.stream(run_id, kinds=("log",), node_id=node_id):
            if item.log is not None:
                write_line(item.log)
                sys.stdout.flush()
    except Interrupted:
        print(f"Stopped following; run {run_id} continues.  Stop it:  umbel stop {run_id}", file=sys.stderr)
        raise


def write_line(line: LogLine) -> None:
    """Write one line with its origin; on a terminal with colours and without what could steer it."""
    if not sys.stdout.isatty():
        print(log_text(line))
        return
    text = clean(line.text.rstrip("\n"))
    style = _STYLES.get(line.level)
    print(styled(f"{log_prefix(line)} |", "dim"), styled(text, style) if style else text)
