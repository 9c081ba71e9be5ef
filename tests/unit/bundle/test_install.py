from __future__ import annotations

import errno
import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.support.apps import fab_files, make_zip
from umbel.bundle import install as install_module  # the module
from umbel.bundle import install_fab, read_fab
from umbel.errors import BundleInvalid, Conflict, StorageFull, UmbelError

DATA = make_zip(fab_files({"data/x.json": b"{}"}))
HASH = read_fab(DATA).hash


def visible(apps: Path) -> list[str]:
    """What is in the directory of apps."""
    return sorted(path.name for path in apps.iterdir())


def test_a_bundle_is_unpacked(tmp_path: Path) -> None:
    """Every file lies where it was in the app, under a directory named for the bundle, and nothing else is left."""
    app = install_fab(DATA, tmp_path / "home" / "apps")
    assert app == tmp_path / "home" / "apps" / f"me.my-app.1.2.3.{HASH[:8]}"
    found = {str(path.relative_to(app)): path.read_bytes() for path in app.rglob("*") if path.is_file()}
    assert found == {**fab_files({"data/x.json": b"{}"}), ".umbel-installed": HASH.encode()}
    assert visible(app.parent) == [app.name]


def test_an_installed_bundle_is_not_unpacked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, the bundle is not even read."""
    app = install_fab(DATA, tmp_path)

    def refuse(data: bytes) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(install_module, "read_fab", refuse)
    assert install_fab(DATA, tmp_path) == app


def test_a_bad_bundle_leaves_nothing(tmp_path: Path) -> None:
    """A bundle that is refused leaves no trace."""
    with pytest.raises(BundleInvalid):
        install_fab(DATA[:-9], tmp_path)
    assert visible(tmp_path) == []


def test_an_unpacking_that_ends_midway_is_not_an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full before the last file, nothing looks installed and the error says why."""
    write = install_module._write

    def full(path: Path, content: bytes) -> None:
        if path.name == install_module.MARKER:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(install_module, "_write", full)
    with pytest.raises(StorageFull):
        install_fab(DATA, tmp_path)
    assert visible(tmp_path) == []


def test_what_lies_in_the_way_is_left_alone(tmp_path: Path) -> None:
    """A directory in the bundle's place that is not the bundle stays; the app goes under its whole hash."""
    taken = tmp_path / f"me.my-app.1.2.3.{HASH[:8]}"
    (taken / "mine").mkdir(parents=True)
    app = install_fab(DATA, tmp_path)
    assert app.name == f"me.my-app.1.2.3.{HASH}"
    assert visible(taken) == ["mine"]
    assert install_fab(DATA, tmp_path) == app
    (app / ".umbel-installed").unlink()
    with pytest.raises(Conflict, match="contains something else at the path of"):
        install_fab(DATA, tmp_path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the directory of apps should be is an error of ours, not a traceback."""
    (tmp_path / "apps").touch()
    with pytest.raises(UmbelError, match="cannot be written"):
        install_fab(DATA, tmp_path / "apps")


def install_together(apps: Path, barrier: Barrier) -> None:
    """Installs at the same moment as the others; run in its own process."""
    barrier.wait(30)
    app = install_fab(DATA, apps)
    if not (app / ".umbel-installed").is_file():
        os._exit(3)


def test_many_processes_install_at_once(tmp_path: Path) -> None:
    """Processes that install the same bundle at the same moment all find it whole, and it is there once."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=install_together, args=(tmp_path, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 4
    assert visible(tmp_path) == [f"me.my-app.1.2.3.{HASH[:8]}"]
