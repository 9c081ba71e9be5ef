"""The page: charts with their data, script and style in one HTML file that needs no network."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

MAX_POINTS = 400  # per line in the page; longer lines are thinned, which keeps their extremes
MAX_ROWS = 200  # rounds in the table of a chart


@dataclass(frozen=True)
class Line:
    """Values over rounds.

    Args:
        label: Name of the line, such as "train" or "train clinic-a".
        rounds: Round numbers, ascending.
        values: A value per round. NaN and infinity leave a gap.
        site: Name of the site whose values these are; None for an aggregate. A site has the same colour in all charts.
    """

    label: str
    rounds: Sequence[int]
    values: Sequence[float]
    site: str | None = None


@dataclass(frozen=True)
class Chart:
    """All lines of one metric."""

    title: str
    lines: Sequence[Line]


def render_page(title: str, subtitle: str, charts: Sequence[Chart]) -> str:
    """An HTML document with one chart per metric.

    Names are untrusted: they reach the page only as escaped text or as JSON whose `<`, `>` and `&` are escaped.
    """
    folder = resources.files("umbel.charts")
    data = [{"title": chart.title, "lines": [_plain(line) for line in chart.lines]} for chart in charts]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{html.escape(title)}</title><style>{(folder / 'charts.css').read_text(encoding='utf-8')}</style></head>",
        f"<body><header><h1>{html.escape(title)}</h1><p>{html.escape(subtitle)}</p></header>",
        (
            '<nav id="controls" hidden><label><input type="checkbox" id="log"> logarithmic scale</label>'
            '<label>smoothing <input type="range" id="smooth" min="0" max="9" value="0"></label>'
            '<button type="button" id="csv">Download CSV</button></nav>'
        ),
        "<main>",
        *(_figure(index, chart) for index, chart in enumerate(charts)),
        "</main>",
        f'<script type="application/json" id="data">{embedded_json(data)}</script>',
        f"<script>{(folder / 'charts.js').read_text(encoding='utf-8')}</script></body></html>",
    ]
    return "\n".join(parts)


def embedded_json(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def thin(rounds: Sequence[int], values: Sequence[float], most: int) -> tuple[list[int], list[float]]:
    """At most about `most` points of a line, with the smallest and the largest value of each stretch kept."""
    if len(rounds) <= most:
        return list(rounds), list(values)
    kept: set[int] = {0, len(rounds) - 1}
    step = math.ceil(2 * len(rounds) / most)
    for start in range(0, len(rounds), step):
        finite = [index for index in range(start, min(start + step, len(rounds))) if math.isfinite(values[index])]
        if finite:
            kept |= {min(finite, key=values.__getitem__), max(finite, key=values.__getitem__)}
        else:
            kept.add(start)  # a gap stays a gap
    order = sorted(kept)
    return [rounds[index] for index in order], [values[index] for index in order]


def _plain(line: Line) -> dict[str, object]:
    rounds, values = thin(line.rounds, line.values, MAX_POINTS)
    finite = [float(f"{value:.7g}") if math.isfinite(value) else None for value in values]
    return {"label": line.label, "site": line.site, "rounds": rounds, "values": finite}


def _figure(index: int, chart: Chart) -> str:
    title = html.escape(chart.title)
    return (
        f'<figure id="chart-{index}"><figcaption>{title}</figcaption><canvas role="img" aria-label="{title} by round"></canvas>'
        f'<ul class="legend"></ul><details><summary>Data</summary>{"".join(_table(chart))}</details></figure>'
    )


def _table(chart: Chart) -> Iterator[str]:
    """The aggregates by round, for readers without a script or without sight of the chart."""
    lines = [line for line in chart.lines if line.site is None] or list(chart.lines)
    columns = [dict(zip(line.rounds, line.values, strict=True)) for line in lines]
    rounds = sorted({number for column in columns for number in column})
    yield "<table><thead><tr><th>round</th>"
    yield from (f"<th>{html.escape(line.label)}</th>" for line in lines)
    yield "</tr></thead><tbody>"
    for number in rounds[-MAX_ROWS:]:
        yield f"<tr><td>{number}</td>"
        yield from (f"<td>{column[number]:.6g}</td>" if number in column else "<td></td>" for column in columns)
        yield "</tr>"
    yield "</tbody></table>"
    if len(rounds) > MAX_ROWS:
        yield f"<p>The last {MAX_ROWS} of {len(rounds)} rounds.</p>"
