"""The question for a newer version: only where it is wanted, once a day, and no one waits for it."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from tests.support.http_peer import Answer, Call, answering, json_answer, ok, peer
from umbel import __version__
from umbel.cli import updates
from umbel.cli.boundary import run_command

FOUND = {"name": "umbel", "versions": ["0.0.1", "99.1.0", "99.10.0", "100.0.0rc1", "nonsense", 5]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that would be asked, by a process that is not started."""
    urls: list[str] = []
    monkeypatch.setattr(updates, "_ask_later", urls.append)
    return urls


def configure(home: Path, url: str = "https://index.example/simple/umbel/") -> str:
    """A config.toml that wants the check."""
    (home / "config.toml").write_text(f'update-check = "{url}"\n')
    return url


def test_nothing_is_asked_unless_it_is_wanted(
    umbel_home: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the setting, with a broken file, or where it is switched off, no one is asked and nothing is written."""
    assert updates.remind() is None
    (umbel_home / "config.toml").write_text("update-check = ")
    assert updates.remind() is None
    configure(umbel_home)
    monkeypatch.setenv("UMBEL_DISABLE_UPDATE_CHECK", "1")
    assert updates.remind() is None
    assert asked == []
    assert not (umbel_home / "cache").exists()


def test_the_index_is_asked_once_a_day(umbel_home: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd of commands asks once; a day later, or of another index, again."""
    url = configure(umbel_home)
    for _ in range(3):
        updates.remind()
    assert asked == [url]
    later = time.time() + 25 * 3600
    monkeypatch.setattr("umbel.cli.updates.time.time", lambda: later)
    updates.remind()
    other = configure(umbel_home, "https://other.example/simple/umbel/")
    updates.remind()
    assert asked == [url, url, other]


def test_a_newer_version_is_told(umbel_home: Path, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the index has said is shown by later commands, on stderr; by those that answer in JSON it is not."""
    with peer(json_answer(FOUND)) as index:
        url = configure(umbel_home, index.address)
        updates.ask(url)
    assert index.calls[0].headers["accept"] == "application/vnd.pypi.simple.v1+json"
    assert updates.remind() == f"Umbel 99.10.0 is available; this is {__version__}."
    assert run_command(["config", "list"]) == 0
    assert "99.10.0" in capsys.readouterr().err
    assert run_command(["config", "list", "--format", "json"]) == 0
    said = capsys.readouterr()
    assert (said.err, json.loads(said.out)["success"]) == ("", True)
    assert asked == []


@pytest.mark.parametrize("answer", [{}, [], {"versions": []}, {"versions": ["0.0.1"]}, {"versions": ["100.0a1"]}])
def test_no_newer_version(umbel_home: Path, asked: list[str], answer: object) -> None:
    """An index without a newer final version, or with another form, leads to no word."""
    with peer(json_answer(answer)) as index:
        updates.ask(configure(umbel_home, index.address))
    assert updates.remind() is None


def test_the_answer_of_a_command_does_not_wait(umbel_home: Path) -> None:
    """The process that asks is not ours: a command ends although the index is silent, and a broken index harms no one."""
    answer = threading.Event()

    def late(_: Call) -> Answer:
        answer.wait(30)
        return ok(b"<html>")

    with answering(late) as index:
        configure(umbel_home, index.address)
        assert run_command(["config", "list"]) == 0
        assert not answer.is_set()
        answer.set()
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 1
        assert len(index.calls) == 1
    (umbel_home / "cache" / "update-check.json").write_text("[1")
    assert updates._read() == updates._Known()


def test_only_web_addresses_are_asked(umbel_home: Path) -> None:
    """A file is no index."""
    updates.ask(f"file://{umbel_home}/secret")
    assert not (umbel_home / "cache").exists()
