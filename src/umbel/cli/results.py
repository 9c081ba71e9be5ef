"""Results of a run: metrics files and artifacts."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.charts import Chart, Line, render_page
from umbel.cli.output import cannot_write, checked_name, make_folder, write_file
from umbel.cli.report import app_text, status_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from umbel.wire.api import Artifact, MetricPoint, RunView
    from umbel.wire.control import ControlClient


def charts(points: Iterable[MetricPoint], *, nodes: bool = False) -> list[Chart]:
    """One chart per metric in order of appearance; a later point of the same round replaces an earlier one.

    Metrics of several phases share a chart: `train_loss` of the train phase and `eval_loss` of the evaluate phase are both drawn as "loss".
    """
    lines: dict[str, dict[tuple[str, str | None], dict[int, float]]] = {}
    for point in points:
        if point.node_id is None or nodes:
            site = None if point.node_id is None else f"node {point.node_id}"
            label = point.phase if site is None else f"{point.phase} {site}"
            value = math.nan if point.value is None else point.value
            lines.setdefault(_PHASE_PREFIX.sub("", point.key), {}).setdefault((label, site), {})[point.round] = value
    return [Chart(key, [_line(*name, values) for name, values in group.items()]) for key, group in lines.items()]


def _line(label: str, site: str | None, values: dict[int, float]) -> Line:
    rounds = sorted(values)
    return Line(label, rounds, [values[number] for number in rounds], site)


_PHASE_PREFIX = re.compile(r"^(?:train|eval|evaluate)[_-](?=.)")
COLUMNS = ("round", "phase", "node", "key", "value")


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
    for point in points:
        number, phase, node, key, value = _row(point)
        writer.writerow((number, phase, node, plain_cell(key), value))
    return text.getvalue().encode()


def plain_cell(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def as_html(points: list[MetricPoint], run: RunView) -> bytes:
    """A page with one chart per metric, which needs no network."""
    return render_page(_title(run), f"{status_text(run)}, seed {run.seed}", charts(points, nodes=True)).encode()


def as_png(points: list[MetricPoint], run: RunView) -> bytes:
    """The aggregates as an image with one chart per metric. Raises DependenciesMissing without matplotlib."""
    from umbel.charts.image import render_png

    return render_png(_title(run), charts(points))


def _title(run: RunView) -> str:
    return f"Run {run.run_id}: {app_text(run)}"


def can_draw_images() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


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


CHECKPOINT = "checkpoint"  # the names of checkpoints begin with it


def pull_run(client: ControlClient, run: RunView, target: Path, *, everything: bool = False) -> list[Path]:
    """Write the artifacts (checkpoints only if `everything`) and the metric files; returns the files written.

    Metric files are written only if the run has metrics, the image only if matplotlib is installed; an artifact of the same name is left
    as the app created it.
    Raises ObjectInvalid for an artifact whose name is not a file name, before anything is written.
    """
    chosen = [item for item in client.artifacts(run.run_id) if everything or not item.name.startswith(CHECKPOINT)]
    names = [checked_name(item.name) for item in chosen]
    points = list(client.metrics(run.run_id))
    make_folder(target)
    written = [_download(client, item, target) for item in chosen]
    for name, make in MAKERS.items():
        if points and name not in names and (name != "metrics.png" or can_draw_images()):
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
