"""The summary at the end of a run."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from umbel.cli.output import clean, styled

if TYPE_CHECKING:
    from typing import TextIO

    from umbel.wire.api import Cause, RunView


def status_text(run: RunView) -> str:
    """`running`, or `finished:completed` with its outcome."""
    return f"{run.status}:{run.sub_status}" if run.sub_status else run.status


def app_text(run: RunView) -> str:
    """`publisher/name==version`, with the @ that marks an app's id."""
    return f"@{run.bundle.fab_id}=={run.bundle.fab_version}"


def elapsed(run: RunView, now: float | None = None) -> float:
    """Seconds from the moment the run was running (0 before) to its end or to `now`."""
    if run.running_at is None:
        return 0.0
    end = run.finished_at if run.finished_at is not None else now if now is not None else time.time()
    return max(0.0, end - run.running_at)


def clock(seconds: float) -> str:
    """`00:01:05`, with the days before it if there are any."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{f'{days}d ' if days else ''}{hour:02}:{minute:02}:{second:02}"


def duration(seconds: float) -> str:
    """A short duration: `35 ms`, `0.8 s`, `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, second = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {second:02} s"
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute:02} min"


def ago(at: float, now: float | None = None) -> str:
    """How long ago something was, in one unit: `now`, `5 s ago`, `3 min ago`, `2 h ago`, `4 d ago`."""
    seconds = (time.time() if now is None else now) - at
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "now"


def timestamp(at: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC with a Z; None stays None."""
    if at is None or at == 0:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def number(value: object) -> str:
    """A metric's value in four significant digits."""
    if value is None:
        return "nan"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def metrics_text(metrics: Mapping[str, Mapping[str, object]]) -> str:
    """`train loss 0.41, evaluate accuracy 0.88` for `{phase: {key: value}}`; empty phases are left out."""
    parts = []
    for phase, values in metrics.items():
        if values:
            parts.append(f"{phase} " + " ".join(f"{key} {number(value)}" for key, value in values.items()))
    return ", ".join(parts)


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
        return f"Run {run.run_id} has been stopped."
    of = f" of {run.num_rounds}" if run.num_rounds else ""
    return f"Run {run.run_id} has been stopped after round {run.round}{of}."


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
