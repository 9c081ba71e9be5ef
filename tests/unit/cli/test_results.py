"""The files of `umbel pull`."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import struct
import zlib
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_control import make_run
from umbel.cli.chart import MOST, draw_charts, ticks
from umbel.cli.output import checked_name
from umbel.cli.raster import Raster
from umbel.cli.results import MAKERS, Panel, Series, panels, pull_run
from umbel.cli.strokes import text_strokes
from umbel.errors import ConfigError, ObjectInvalid
from umbel.wire.api import Artifact, MetricPoint
from umbel.wire.control import ControlClient

RUN = make_run(5)
POINTS = [
    MetricPoint(key="loss", value=0.5, round=1, phase="train"),
    MetricPoint(key="loss", value=0.25, round=2, phase="train"),
    MetricPoint(key="loss", value=None, round=2, phase="evaluate"),
    MetricPoint(key='</script>,"', value=1.0, round=1, phase="train", node_id=7),
]


class Results:
    """A client whose run has these artifacts and metrics."""

    def __init__(self, artifacts: dict[str, bytes], points: list[MetricPoint]) -> None:
        self.bytes = {hashlib.sha256(data).hexdigest(): data for data in artifacts.values()}
        self.items = [
            Artifact(name=name, digest=hashlib.sha256(data).hexdigest(), size=len(data))
            for name, data in artifacts.items()
        ]
        self.points = points

    def artifacts(self, _: int) -> list[Artifact]:
        return self.items

    def metrics(self, _: int) -> list[MetricPoint]:
        return self.points

    def download(self, digest: str, path: Path) -> None:
        path.write_bytes(self.bytes[digest])


def pulled(
    target: Path, artifacts: dict[str, bytes], points: list[MetricPoint], *, everything: bool = False
) -> set[str]:
    client = cast("ControlClient", Results(artifacts, points))
    return {path.name for path in pull_run(client, RUN, target, everything=everything)}


def decoded(png: bytes) -> npt.NDArray[np.uint8]:
    """The pixels of a PNG file, with every checksum verified."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, 1 + 3 * width)
    return rows[:, 1:].reshape(height, width, 3)


def test_everything_but_checkpoints_is_pulled(tmp_path: Path) -> None:
    """The model under its name, the metrics in four forms; --all adds the checkpoints."""
    artifacts = {"model.safetensors": b"model", "checkpoint": b"state", "checkpoint-3": b"state 3"}
    names = {"model.safetensors", *MAKERS}
    assert pulled(tmp_path / "a", artifacts, POINTS) == names
    assert pulled(tmp_path / "b", artifacts, POINTS, everything=True) == names | {"checkpoint", "checkpoint-3"}
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == b"model"


def test_a_run_without_metrics_has_no_metric_files(tmp_path: Path) -> None:
    """No empty charts."""
    assert pulled(tmp_path, {"model.safetensors": b"m"}, []) == {"model.safetensors"}


def test_an_artifact_keeps_its_name(tmp_path: Path) -> None:
    """What the app saved as metrics.csv is not written over."""
    assert pulled(tmp_path, {"metrics.csv": b"mine"}, POINTS) == set(MAKERS)
    assert (tmp_path / "metrics.csv").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a\\b", "/etc/passwd", ".", "..", "", ".bashrc", "a\nb", "c:x", "x" * 201, " a"]
)
def test_a_name_that_is_no_file_name_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    """An artifact can never leave the folder, hide in it or name a device."""
    with pytest.raises(ObjectInvalid, match="not a file name"):
        pulled(tmp_path / "out", {"model.safetensors": b"m", name: b"evil"}, [])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "round 3.npz", "Größe-1.json"])
def test_ordinary_names_are_taken(name: str) -> None:
    """Spaces inside and other alphabets are fine."""
    assert checked_name(name) == name


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """The message names the place."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file"):
        pulled(tmp_path / "file" / "out", {}, [])


def test_the_json_has_every_point() -> None:
    """Also those of single nodes; a value that is not finite is null."""
    document = json.loads(MAKERS["metrics.json"](POINTS, RUN))
    assert document["run-id"] == 5
    assert document["metrics"][0] == {"round": 1, "phase": "train", "node": None, "key": "loss", "value": 0.5}
    assert document["metrics"][2]["value"] is None
    assert document["metrics"][3]["node"] == 7


def test_the_csv_survives_any_key() -> None:
    """Commas and quotes in a metric's name are quoted."""
    rows = list(csv.reader(io.StringIO(MAKERS["metrics.csv"](POINTS, RUN).decode())))
    assert rows[0] == ["round", "phase", "node", "key", "value"]
    assert rows[1] == ["1", "train", "", "loss", "0.5"]
    assert rows[4] == ["1", "train", "7", '</script>,"', "1.0"]


def test_the_html_needs_no_network_and_lets_no_key_out() -> None:
    """plotly.js is inside; a metric's name cannot end the script."""
    page = MAKERS["metrics.html"](POINTS, RUN).decode()
    own = page[page.index("<h1>") :]
    assert "src=" not in page[: page.index("<script>")]
    assert own.count("</script>") == 1
    assert "https://" not in own
    assert len(page) > 1_000_000


def test_the_png_is_an_image_with_curves() -> None:
    """It decodes, is as large as its charts, and has pixels in the first line's colour."""
    pixels = decoded(MAKERS["metrics.png"](POINTS, RUN))
    assert pixels.shape == (50 + 340, 600, 3)
    assert (np.abs(pixels.astype(int) - (0x25, 0x63, 0xEB)).max(axis=2) < 8).sum() > 200


def test_panels_group_phases_and_sort_rounds() -> None:
    """One panel for a key, one line for a phase; a repeated round keeps its later value."""
    points = [
        MetricPoint(key="a", value=2.0, round=2, phase="train"),
        MetricPoint(key="a", value=9.0, round=1, phase="train"),
        MetricPoint(key="a", value=1.0, round=1, phase="train"),
        MetricPoint(key="a", value=3.0, round=1, phase="evaluate"),
        MetricPoint(key="a", value=4.0, round=1, phase="train", node_id=5),
    ]
    assert panels(points) == [Panel("a", [Series("train", [1, 2], [1.0, 2.0]), Series("evaluate", [1], [3.0])])]
    assert panels(points, nodes=True)[0].series[2] == Series("train node 5", [1], [4.0])


@pytest.mark.parametrize(
    "values",
    [
        [0.0],
        [0.0, 0.0],
        [1e300, -1e300],
        [math.nan],
        [math.inf, 1.0],
        [5e-324, 0.0],
        [1.0, math.nan, 2.0],
        [1e16, 1e16 + 2],
    ],
)
def test_any_values_can_be_drawn(values: list[float]) -> None:
    """One point, none, huge, tiny, equal or not finite ones."""
    line = Series("train", list(range(len(values))), values)
    assert decoded(draw_charts([Panel("k", [line])], "t")) is not None


def test_many_metrics_do_not_make_an_endless_image() -> None:
    """The first dozen are drawn."""
    many = [Panel(str(index), [Series("train", [1], [1.0])]) for index in range(MOST + 5)]
    assert decoded(draw_charts(many, "t")).shape[0] == 50 + 340 * MOST // 2


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_ticks_are_few_and_within(low: float, width: float) -> None:
    """Never more than seven, all inside."""
    width = max(width, abs(low) * 1e-6)
    found = ticks(low, low + width)
    assert len(found) <= 7
    assert all(low - width * 1e-3 <= tick <= low + width * 1.001 for tick in found)


def test_round_ticks_are_whole() -> None:
    """There is no round 1.5."""
    assert ticks(1, 3, whole=True) == [1, 2, 3]
    assert ticks(0.5, 1.5, whole=True) == [1]


def test_a_line_covers_what_it_touches() -> None:
    """Two pixels thick: the rows beside the line are full, those beyond are white."""
    raster = Raster(10, 10)
    raster.line([(0, 5), (9, 5)], (0, 0, 0), 2)
    assert raster.pixels[5, 5].tolist() == [0, 0, 0]
    assert raster.pixels[8, 5].tolist() == [255, 255, 255]


def test_drawing_outside_does_no_harm() -> None:
    """What lies beyond the edge is cut off."""
    raster = Raster(4, 4)
    raster.line([(-50, -50), (-10, 90)], (0, 0, 0))
    assert float(raster.pixels.min()) == 255


def test_every_character_has_a_shape() -> None:
    """What the font does not know is a box, not nothing."""
    assert text_strokes("é") == text_strokes("\u4e2d")
    assert text_strokes("a") != text_strokes("é")
    assert text_strokes(" ") == []
