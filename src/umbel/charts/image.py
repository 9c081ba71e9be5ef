"""The charts as a PNG image, drawn by matplotlib (the extra `plots`)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from umbel.charts.page import Chart
from umbel.errors import DependenciesMissing

MAX_CHARTS = 12  # in one image


def render_png(title: str, charts: Sequence[Chart]) -> bytes:
    """A PNG with one chart per metric, in two columns. Raises DependenciesMissing without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise DependenciesMissing(
            "matplotlib is not installed, so no image was drawn.", hint="Install it with `pip install 'umbel[plots]'`."
        ) from error
    shown = charts[:MAX_CHARTS]
    columns = min(2, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(6 * columns, 0.5 + 3.3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, parse_math=False)
    for index, chart in enumerate(shown):
        axes = figure.add_subplot(rows, columns, index + 1)
        for line in chart.lines:
            values = [value if math.isfinite(value) else math.nan for value in line.values]
            axes.plot(line.rounds, values, marker="o", markersize=3, label=line.label)
        axes.set_title(chart.title, parse_math=False)
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True, alpha=0.3)
        for text in axes.legend(frameon=False).get_texts():
            text.set_parse_math(False)  # a name is text, whatever characters it has
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
