"""Writing a run's log to standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from umbel.cli.interrupts import Interrupted
from umbel.cli.lines import log_prefix, log_text
from umbel.cli.output import clean, styled

if TYPE_CHECKING:
    from umbel.wire.api import LogLine
    from umbel.wire.control import ControlClient

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
        print(f"No longer following; run {run_id} goes on.  Stop it:  umbel stop {run_id}", file=sys.stderr)
        raise


def write_line(line: LogLine) -> None:
    """Write one line with its origin; on a terminal with colours and without what could steer it."""
    if not sys.stdout.isatty():
        print(log_text(line))
        return
    text = clean(line.text.rstrip("\n"))
    style = _STYLES.get(line.level)
    print(styled(f"{log_prefix(line)} |", "dim"), styled(text, style) if style else text)
