"""The last words about a run: how it ended, its metrics, what to do next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from umbel.cli.output import clean, styled
from umbel.cli.view import duration, elapsed, number

if TYPE_CHECKING:
    from typing import TextIO

    from umbel.wire.api import Cause, RunView

_OURS = re.compile(r"[/\\](?:src|site-packages)[/\\]umbel[/\\]|[/\\]lib[/\\]python3[^/\\]*[/\\](?!site-packages)")
_FRAME = re.compile(r'  File "([^"]*)", line \d+')


def print_completed(run: RunView, metrics: dict[str, dict[str, Any]], stream: TextIO) -> None:
    """Status, duration, final metrics and the way to the results."""
    rounds = f", {run.round} round{'' if run.round == 1 else 's'}" if run.round else ""
    print(
        styled(f"Run {run.run_id} completed", "green", stream) + f" in {duration(elapsed(run))}{rounds}.", file=stream
    )
    for line in metric_lines(metrics):
        print(line, file=stream)
    print(f"Get the model and the metrics:  umbel pull {run.run_id}", file=stream)


def print_failed(run: RunView, stream: TextIO) -> None:
    """The cause as a block: what, where, the exception and the app's own frames, the log's end, what to do."""
    print("\n".join(cause_lines(run, stream)), file=stream)


def stopped_line(run: RunView) -> str:
    """How far a stopped run came."""
    if not run.round:
        return f"Run {run.run_id} is stopped."
    of = f" of {run.num_rounds}" if run.num_rounds else ""
    return f"Run {run.run_id} is stopped, after round {run.round}{of}."


def metric_lines(metrics: dict[str, dict[str, Any]]) -> list[str]:
    """One aligned line for each metric: phase, key, value."""
    rows = [(phase, key, number(value)) for phase, values in metrics.items() for key, value in values.items()]
    width = max((len(f"{phase} {key}") for phase, key, _ in rows), default=0)
    return [clean(f"  {f'{phase} {key}':<{width}}  {value}") for phase, key, value in rows]


def cause_lines(run: RunView, stream: TextIO) -> list[str]:
    """The lines of the block that explains a failed run."""
    cause = run.cause
    lines = [styled(f"Run {run.run_id} failed", "red", stream) + f" after {duration(elapsed(run))}."]
    if cause is None:
        return [*lines, f"  See the log:  umbel log {run.run_id} --show"]
    lines.append(f"  what   {clean(cause.message)} ({cause.code})")
    if where := cause_place(cause):
        lines.append(f"  where  {where}")
    if cause.traceback:
        lines += ["", *(f"  {clean(line)}" for line in app_frames(cause.traceback).splitlines())]
    elif cause.exception:
        lines.append(f"  error  {clean(cause.exception)}")
    if cause.log_tail:
        lines += ["", "  The last lines of the log:", *(f"    {clean(line.rstrip())}" for line in cause.log_tail)]
    advice = clean(cause.hint) if cause.hint else f"See the whole log:  umbel log {run.run_id} --show"
    return [*lines, "", f"  {styled('What to do', 'bold', stream)}  {advice}"]


def cause_place(cause: Cause) -> str:
    """Component, site and round of a cause, as far as they are known."""
    parts: list[str] = [cause.component] if cause.component else []
    if cause.node_id is not None:
        parts.append(f"node {cause.node_id}")
    if cause.round:
        parts.append(f"round {cause.round}")
    return ", ".join(parts)


def app_frames(traceback: str) -> str:
    """A traceback without the frames of Umbel and of the standard library; whole if nothing of the app would be left."""
    kept: list[str] = []
    hidden, any_frame = False, False
    for line in traceback.splitlines():
        frame = _FRAME.match(line)
        if frame is not None:
            hidden = bool(_OURS.search(frame[1]))
            any_frame = any_frame or not hidden
        elif not line.startswith("    "):
            hidden = False
        if not hidden:
            kept.append(line)
    return "\n".join(kept) if any_frame else traceback.rstrip()
