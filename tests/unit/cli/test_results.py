"""The files of `umbel pull`."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import struct
import sys
from pathlib import Path
from typing import cast

import pytest

from tests.support.fake_control import make_run
from umbel.charts import Chart, Line
from umbel.cli import results
from umbel.cli.output import checked_name
from umbel.cli.results import MAKERS, charts, pull_run
from umbel.errors import ConfigError, DependenciesMissing, ObjectInvalid
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


def test_the_csv_holds_no_formulas() -> None:
    """A metric name that a spreadsheet would evaluate is quoted as text."""
    points = [MetricPoint(key='=cmd|"/c calc"!A1', value=1.0, round=1, phase="train")]
    rows = list(csv.reader(io.StringIO(MAKERS["metrics.csv"](points, RUN).decode())))
    assert rows[1][3] == '\'=cmd|"/c calc"!A1'


def test_the_png_is_an_image_of_its_charts() -> None:
    """It has the signature and the size of a PNG with two charts side by side."""
    png = MAKERS["metrics.png"](POINTS, RUN)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (600, 380)


def test_without_matplotlib_there_is_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other files are still written, and drawing says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(results, "can_draw_images", lambda: False)
    assert pulled(tmp_path, {}, POINTS) == set(MAKERS) - {"metrics.png"}
    with pytest.raises(DependenciesMissing, match=r"pip install 'umbel\[plots\]'"):
        MAKERS["metrics.png"](POINTS, RUN)


def test_charts_group_phases_and_sort_rounds() -> None:
    """One chart per metric, one line per phase; a repeated round keeps its later value."""
    points = [
        MetricPoint(key="a", value=2.0, round=2, phase="train"),
        MetricPoint(key="a", value=9.0, round=1, phase="train"),
        MetricPoint(key="a", value=1.0, round=1, phase="train"),
        MetricPoint(key="eval_a", value=3.0, round=1, phase="evaluate"),
        MetricPoint(key="train_a", value=4.0, round=1, phase="train", node_id=5),
    ]
    assert charts(points) == [Chart("a", [Line("train", [1, 2], [1.0, 2.0]), Line("evaluate", [1], [3.0])])]
    assert charts(points, nodes=True)[0].lines[2] == Line("train node 5", [1], [4.0], "node 5")
