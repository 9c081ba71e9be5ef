"""A run's events and log lines as lines of text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from umbel.cli.output import clean
from umbel.cli.progress import RoundResult, RunProgress
from umbel.cli.view import app_text, duration, metrics_text

if TYPE_CHECKING:
    from umbel.wire.api import Event, LogLine, RunView


def header(run: RunView) -> str:
    """The first line of a run: app, run id, seed."""
    return f"Run {run.run_id}  {app_text(run)}  seed {run.seed}"


def event_line(event: Event, progress: RunProgress) -> str | None:
    """The line that stays on the screen for an event already folded into `progress`; None for most kinds.

    Notes and replies left out are in the log as well, which is on the same screen.
    """
    data = event.data
    match event.kind:
        case "round-finished":
            return round_line(progress.results[-1])
        case "task" if isinstance(data.get("attempt"), int) and data.get("state") == "created" and data["attempt"] != 1:
            return clean(f"the app process is started again (attempt {data['attempt']}): {data.get('reason')}")
    return None


def round_line(result: RoundResult) -> str:
    """One finished round: `round 3/10  100 clients  1.2 s  train loss 0.41, evaluate accuracy 0.88`."""
    parts = [f"round {result.number}{f'/{result.num_rounds}' if result.num_rounds else ''}"]
    if result.clients:
        parts.append(f"{result.clients} client{'' if result.clients == 1 else 's'}")
    if result.failed:
        parts.append(f"{result.failed} failed")
    if result.seconds is not None:
        parts.append(duration(result.seconds))
    if result.metrics:
        parts.append(clean(metrics_text(result.metrics)))
    return "  ".join(parts)


def log_prefix(line: LogLine) -> str:
    """Where a log line comes from: time, level, source, node, round."""
    clock = time.strftime("%H:%M:%S", time.localtime(line.at)) if line.at else "--:--:--"
    node = f" node {line.node_id}" if line.node_id is not None else ""
    server_round = f" r{line.round}" if line.round is not None else ""
    return f"{clock} {line.level:<7} {line.source}{node}{server_round}"


def log_text(line: LogLine) -> str:
    """A log line with its origin before each of its lines."""
    prefix = log_prefix(line)
    return "\n".join(f"{prefix} | {text}" for text in line.text.rstrip("\n").split("\n"))
