"""How a run is written down: status, times, numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from umbel.wire.api import RunView


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
