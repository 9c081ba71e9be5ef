"""Line charts as a PNG: one for each metric, in two columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from umbel.cli.raster import Colour, Point, Raster
from umbel.cli.results import COLOURS

if TYPE_CHECKING:
    from umbel.cli.results import Panel, Series

WIDTH, HEIGHT = 600, 340  # pixels of one chart
TOP = 50  # pixels above the first row, for the title
LEFT, RIGHT, ABOVE, BELOW = 80, 20, 50, 45  # pixels around the axes of a chart
MOST = 12  # charts drawn; the files with the numbers have them all
HUGE = 1e300  # larger values are drawn at this one
INK, GREY, GRID = (34, 34, 34), (110, 110, 110), (226, 226, 226)


@dataclass(frozen=True)
class Axis:
    """A scale of values onto pixels, with the values that get a tick."""

    low: float
    high: float
    begin: float  # pixel of `low`
    end: float  # pixel of `high`
    ticks: list[float]

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)


def draw_charts(panels: list[Panel], title: str) -> bytes:
    """A PNG with one chart for each of the first `MOST` panels. Values that are not finite leave a gap."""
    shown = panels[:MOST]
    columns = min(2, max(1, len(shown)))
    rows = math.ceil(len(shown) / columns)
    raster = Raster(columns * WIDTH, TOP + rows * HEIGHT)
    more = f"  ({len(panels) - MOST} more metrics are in the other files)" if len(panels) > MOST else ""
    raster.text((LEFT, 32), title + more, INK, size=13)
    for index, panel in enumerate(shown):
        _chart(raster, panel, (index % columns * WIDTH, TOP + index // columns * HEIGHT))
    return raster.png()


def _chart(raster: Raster, panel: Panel, corner: Point) -> None:
    left, top = corner
    x_axis = _axis([x for line in panel.series for x in line.rounds], left + LEFT, left + WIDTH - RIGHT, whole=True)
    y_axis = _axis([y for line in panel.series for y in line.values], top + HEIGHT - BELOW, top + ABOVE)
    _frame(raster, x_axis, y_axis)
    raster.text((left + LEFT, top + ABOVE - 18), panel.key, INK, size=12)
    raster.text(((x_axis.begin + x_axis.end) / 2, top + HEIGHT - 8), "round", GREY, size=9, anchor=0.5)
    legend = left + WIDTH - RIGHT
    for index, line in reversed(list(enumerate(panel.series))):
        colour = _rgb(COLOURS[index % len(COLOURS)])
        _curve(raster, line, x_axis, y_axis, colour)
        raster.text((legend, top + ABOVE - 18), line.label, GREY, size=9, anchor=1)
        legend -= 9 * len(line.label) + 12
        raster.line([(legend - 14, top + ABOVE - 22), (legend, top + ABOVE - 22)], colour, 3)
        legend -= 30


def _frame(raster: Raster, x_axis: Axis, y_axis: Axis) -> None:
    for value in y_axis.ticks:
        y = y_axis.at(value)
        raster.line([(x_axis.begin, y), (x_axis.end, y)], GRID)
        raster.text((x_axis.begin - 8, y + 4), f"{value:.10g}", GREY, size=9, anchor=1)
    for value in x_axis.ticks:
        x = x_axis.at(value)
        raster.line([(x, y_axis.begin), (x, y_axis.begin + 4)], GREY)
        raster.text((x, y_axis.begin + 18), f"{value:.10g}", GREY, size=9, anchor=0.5)
    corners = [(x_axis.begin, y_axis.end), (x_axis.begin, y_axis.begin), (x_axis.end, y_axis.begin)]
    raster.line(corners, GREY)


def _curve(raster: Raster, line: Series, x_axis: Axis, y_axis: Axis, colour: Colour) -> None:
    run: list[Point] = []
    for x, y in [*zip(line.rounds, line.values, strict=True), (0, math.nan)]:
        if math.isfinite(y):
            run.append((x_axis.at(x), y_axis.at(y)))
            continue
        raster.line(run if len(run) > 1 else run * 2, colour, 2)
        run = []
    if len(line.rounds) <= 50:
        for x, y in zip(line.rounds, line.values, strict=True):
            if math.isfinite(y):
                raster.line([(x_axis.at(x), y_axis.at(y))] * 2, colour, 5)


def _axis(values: list[float] | list[int], begin: float, end: float, *, whole: bool = False) -> Axis:
    finite = [max(-HUGE, min(HUGE, float(value))) for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    size = max(abs(low), abs(high))
    if high - low <= max(size * 1e-9, 1 / HUGE):  # indistinguishable at the precision of the labels
        margin = max(size / 10, 1 / HUGE) if size > 1 / HUGE else 0.5
        low, high = low - margin, high + margin
    elif not whole:
        low, high = low - (high - low) / 20, high + (high - low) / 20
    return Axis(low, high, begin, end, ticks(low, high, whole=whole))


def ticks(low: float, high: float, *, most: int = 6, whole: bool = False) -> list[float]:
    """At most `most` + 1 round values (1, 2 or 5 times a power of ten apart) within [low, high]; whole ones if asked."""
    power = 10 ** math.floor(math.log10((high - low) / most))
    steps = [factor * power for factor in (1, 2, 5, 10)]
    step = next(step for step in steps if (high - low) / step <= most)
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.15g}") for number in range(first, last + 1)]


def _rgb(colour: str) -> Colour:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
