"""A run's metrics as the files of `umbel pull`."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

from umbel.cli.series import COLOURS, panels
from umbel.cli.view import app_text, status_text

if TYPE_CHECKING:
    from umbel.wire.api import MetricPoint, RunView

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
