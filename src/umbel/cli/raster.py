"""An image of pixels that smooth strokes can be drawn on, and its PNG form. Needs NumPy and nothing else."""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from umbel.cli.strokes import HEIGHT, text_strokes, text_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

Colour = tuple[int, int, int]  # red, green, blue, each 0 to 255
Point = tuple[float, float]  # pixels from the left, from the top

WHITE: Colour = (255, 255, 255)


class Raster:
    """`pixels` has shape [height, width, 3], float32, values 0 to 255; white at first."""

    def __init__(self, width: int, height: int) -> None:
        self.pixels: npt.NDArray[np.float32] = np.full((height, width, 3), 255, dtype=np.float32)

    def line(self, points: Sequence[Point], colour: Colour, thickness: float = 1.0) -> None:
        """Draw a chain of segments with round ends, `thickness` pixels wide."""
        for start, end in itertools.pairwise(points):
            self._segment(start, end, colour, thickness / 2)

    def text(self, at: Point, text: str, colour: Colour, *, size: float = 11.0, anchor: float = 0.0) -> None:
        """Write a line of text with its base line at `at`; `size` is the height of a capital in pixels.

        `anchor` says which part of the text is at that x: 0 its left end, 0.5 its middle, 1 its right end.
        """
        scale = size / HEIGHT
        left = at[0] - anchor * text_width(text) * scale
        for stroke in text_strokes(text):
            self.line([(left + x * scale, at[1] + (y - HEIGHT) * scale) for x, y in stroke], colour, size / 8)

    def png(self) -> bytes:
        """The image as a PNG file, 8 bits per channel."""
        pixels = np.clip(self.pixels + 0.5, 0, 255).astype(np.uint8)
        height, width, _ = pixels.shape
        rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each row begins with the filter type 0: none
        rows[:, 1:] = pixels.reshape(height, 3 * width)
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)

    def _segment(self, start: Point, end: Point, colour: Colour, radius: float) -> None:
        """Blend `colour` in by how much of each pixel lies within `radius` of the segment."""
        (left, right), (top, bottom) = (_span((start[axis], end[axis]), radius) for axis in (0, 1))
        area = self.pixels[top:bottom, left:right]
        if not area.size:
            return
        ys, xs = np.mgrid[top : top + area.shape[0], left : left + area.shape[1]]
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = dx * dx + dy * dy
        along = np.clip(((xs - start[0]) * dx + (ys - start[1]) * dy) / length, 0, 1) if length else 0.0
        distance = np.hypot(xs - start[0] - along * dx, ys - start[1] - along * dy)
        cover = np.clip(radius + 0.5 - distance, 0, 1)[..., None]
        area += cover * (np.array(colour, dtype=np.float32) - area)


def _span(ends: Iterable[float], radius: float) -> tuple[int, int]:
    low, high = sorted(ends)
    return max(0, int(low - radius - 1)), max(0, int(high + radius + 2))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
