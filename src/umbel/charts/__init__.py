"""Line charts of metrics as a self-contained HTML page."""

from umbel.charts.page import Chart, Line, render_page, thin

__all__ = ["Chart", "Line", "render_page", "thin"]
