"""The log file and its rotation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from umbel.errors import ConfigError
from umbel.superlink.server import settings, storage_options
from umbel.superlink.server.logfile import LogFile

DAY = 86_400.0
WRITER = """
import sys, os
from pathlib import Path
from umbel.superlink.server.logfile import LogFile
log = LogFile(Path(sys.argv[1]), 6, 2)
log.open(0.0)
for number in range(1, 5):
    os.system(f"echo of a child {number}")
    print("line", number, file=sys.stderr, flush=True)
    log.rotate(number * 6 * 3600.0)
print("the end", flush=True)
"""


def test_each_stretch_has_a_file(tmp_path: Path) -> None:
    """What is written, by children too, goes to the present file; earlier ones have the time of their beginning, in UTC."""
    path = tmp_path / "logs" / "superlink.log"
    subprocess.run([sys.executable, "-c", WRITER, str(path)], check=True)
    assert {file.name: file.read_text() for file in path.parent.iterdir()} == {
        "superlink.log.1970-01-01_12": "of a child 3\nline 3\n",
        "superlink.log.1970-01-01_18": "of a child 4\nline 4\n",
        "superlink.log": "the end\n",
    }


@pytest.mark.parametrize(("hour", "rotated"), [(0, False), (23, False), (24, True)])
def test_a_start_goes_on_in_the_file_of_its_stretch(tmp_path: Path, hour: int, rotated: bool) -> None:
    """A file that was last written before the present stretch is set aside, any other one continues."""
    path = tmp_path / "superlink.log"
    path.write_text("before\n")
    os.utime(path, (3 * DAY, 3 * DAY))
    log = LogFile(path)
    redirected: list[bool] = []
    log._redirect = lambda: redirected.append(True)  # type: ignore[method-assign]
    log.open(3 * DAY + hour * 3600)
    assert (tmp_path / "superlink.log.1970-01-04_00").exists() == rotated
    assert redirected == [True]


def test_the_next_rotation_is_at_a_round_time() -> None:
    """Stretches of a day end at midnight, UTC; those of six hours at 6, 12, 18 and 24 o'clock."""
    assert LogFile(Path("x")).next_rotation(2.5 * DAY) == 3 * DAY
    assert LogFile(Path("x"), interval_hours=6).next_rotation(DAY) == 1.25 * DAY


def test_the_url_of_the_database_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """UMBEL_DATABASE counts where there is no option; it is not handed on, and its password is not shown."""
    monkeypatch.setenv(storage_options.DATABASE, "postgresql+psycopg://me:hush@host/db")
    read = settings.parse([])
    assert read.keeping.database == "postgresql+psycopg://me:hush@host/db"
    assert storage_options.DATABASE not in os.environ
    assert "hush" not in repr(read)
    monkeypatch.setenv(storage_options.DATABASE, "sqlite:///other")
    assert settings.parse(["--database", "sqlite:///mine"]).keeping.database == "sqlite:///mine"


@pytest.mark.parametrize("option", ["--log-rotation-interval-hours", "--log-rotation-backup-count"])
def test_numbers_of_the_rotation_are_at_least_one(option: str) -> None:
    """Zero hours or files make no sense."""
    with pytest.raises(ConfigError, match=option):
        settings.parse([option, "0"])
