"""Results of a run: metrics files and artifacts."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umbel.cli.output import cannot_write, checked_name, make_folder, write_file
from umbel.cli.report import app_text, status_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from umbel.wire.api import Artifact, MetricPoint, RunView
    from umbel.wire.control import ControlClient


COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2")  # one for each line of a chart


@dataclass(frozen=True)
class Series:
    """One line: the aggregate values of a metric over the rounds (both of the same length, in order; NaN where there is none)."""

    label: str
    rounds: list[int]
    values: list[float]


@dataclass(frozen=True)
class Panel:
    """One chart: the lines that share a metric's key, over all phases and, if asked for, nodes."""

    key: str
    series: list[Series]


def panels(points: Iterable[MetricPoint], *, nodes: bool = False) -> list[Panel]:
    """One panel for each key in order of appearance; a later point of the same round replaces an earlier one."""
    lines: dict[str, dict[str, dict[int, float]]] = {}
    for point in points:
        if point.node_id is None or nodes:
            label = point.phase if point.node_id is None else f"{point.phase} node {point.node_id}"
            lines.setdefault(point.key, {}).setdefault(label, {})[point.round] = _number(point.value)
    return [Panel(key, [_series(label, values) for label, values in group.items()]) for key, group in lines.items()]


def _series(label: str, values: dict[int, float]) -> Series:
    rounds = sorted(values)
    return Series(label, rounds, [values[number] for number in rounds])


def _number(value: float | None) -> float:
    return math.nan if value is None else value


COLUMNS = ("round", "phase", "node", "key", "value")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px system-ui,sans-serif;margin:2rem auto;max-width:1000px;padding:0 1rem;color:#222;background:#fff}}
h1{{font-size:1.3rem}} .panel{{height:380px}}</style>
<script>{plotly}</script></head>
<body><h1>{title}</h1><p>{subtitle}</p><div id="panels"></div>
<script>
for (const panel of {data}) {{
  const box = document.getElementById("panels").appendChild(document.createElement("div"));
  box.className = "panel";
  Plotly.newPlot(box, panel.traces, panel.layout, {{responsive: true, displaylogo: false}});
}}
</script></body></html>
"""


def as_json(points: list[MetricPoint], run: RunView) -> bytes:
    """`{"run-id": …, "metrics": [{round, phase, node, key, value}, …]}`; a value that is not finite is null."""
    rows = [dict(zip(COLUMNS, _row(point), strict=True)) | {"value": _finite(point.value)} for point in points]
    document = {"run-id": run.run_id, "app": app_text(run), "status": status_text(run), "metrics": rows}
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()


def as_csv(points: list[MetricPoint], run: RunView) -> bytes:
    """One line for each point; the node's field is empty for an aggregate."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(point) for point in points)
    return text.getvalue().encode()


def as_html(points: list[MetricPoint], run: RunView) -> bytes:
    """One page that shows a chart for each metric and needs no network: plotly.js is in it."""
    charts = [
        {
            "traces": [_trace(line.label, line.rounds, line.values) for line in panel.series],
            "layout": {
                "title": {"text": html.escape(panel.key)},
                "xaxis": {"title": {"text": "round"}, "tickformat": "d"},
                "showlegend": True,
                "template": {"layout": {"colorway": list(COLOURS)}},
            },
        }
        for panel in panels(points, nodes=True)
    ]
    data = json.dumps(charts, allow_nan=False).replace("<", "\\u003c")
    title = html.escape(f"Run {run.run_id}: {app_text(run)}")
    subtitle = html.escape(f"{status_text(run)}, seed {run.seed}")
    plotly = resources.files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")
    return _PAGE.format(title=title, subtitle=subtitle, plotly=plotly, data=data).encode()


def as_png(points: list[MetricPoint], run: RunView) -> bytes:
    """The aggregates as an image with a chart for each metric."""
    from umbel.cli.chart import draw_charts

    return draw_charts(panels(points), f"run {run.run_id}: {app_text(run)}")


MAKERS: dict[str, Callable[[list[MetricPoint], RunView], bytes]] = {
    "metrics.json": as_json,
    "metrics.csv": as_csv,
    "metrics.html": as_html,
    "metrics.png": as_png,
}


def _row(point: MetricPoint) -> tuple[int, str, int | None, str, float | None]:
    return point.round, point.phase, point.node_id, point.key, point.value


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _trace(label: str, rounds: list[int], values: list[float]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": html.escape(label),
        "x": rounds,
        "y": [_finite(value) for value in values],
    }


CHECKPOINT = "checkpoint"  # the names of checkpoints begin with it


def pull_run(client: ControlClient, run: RunView, target: Path, *, everything: bool = False) -> list[Path]:
    """Write the artifacts (checkpoints only if `everything`) and the metric files; returns the files written.

    Metric files are written only if the run has metrics; an artifact of the same name is left as the app made it.
    Raises ObjectInvalid for an artifact whose name is not a file name, before anything is written.
    """
    chosen = [item for item in client.artifacts(run.run_id) if everything or not item.name.startswith(CHECKPOINT)]
    names = [checked_name(item.name) for item in chosen]
    points = list(client.metrics(run.run_id))
    make_folder(target)
    written = [_download(client, item, target) for item in chosen]
    for name, make in MAKERS.items():
        if points and name not in names:
            path = target / name
            write_file(path, make(points, run))
            written.append(path)
    return written


def _download(client: ControlClient, artifact: Artifact, target: Path) -> Path:
    path = target / artifact.name
    try:
        client.download(artifact.digest, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path
