"""Errors at the boundary of the command line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from umbel.cli import boundary
from umbel.cli.output import clean, styled
from umbel.errors import NotFound


def raising(error: Exception) -> Callable[[list[str]], int]:
    def invoke(_: list[str]) -> int:
        raise error

    return invoke


def test_an_error_is_a_message_and_a_hint_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is the class's."""
    monkeypatch.setattr(boundary, "_invoke", raising(NotFound("No run 7.", hint="See the list.")))
    assert boundary.run_command(["stop", "7"]) == NotFound.exit_code
    assert capsys.readouterr() == ("", "Error: No run 7.\nSee the list.\n")


@pytest.mark.parametrize("arguments", [["--format", "json"], ["--format=json"], ["x", "--format", "JSON"]])
def test_an_error_is_json_where_json_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """One object on standard output, nothing on standard error."""
    monkeypatch.setattr(boundary, "_invoke", raising(NotFound("No run 7.", hint="See the list.")))
    assert boundary.run_command(arguments) == NotFound.exit_code
    stdout, stderr = capsys.readouterr()
    assert stderr == ""
    assert json.loads(stdout) == {
        "success": False,
        "error-message": "No run 7.",
        "error-code": "not-found",
        "hint": "See the list.",
    }


def test_a_fault_of_umbel_is_saved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], umbel_home: Path
) -> None:
    """The person sees one line and a path; the traceback is in the file."""
    monkeypatch.setattr(boundary, "_invoke", raising(ZeroDivisionError("boom")))
    assert boundary.run_command(["list"]) == 70
    (file,) = (umbel_home / "crash").iterdir()
    stderr = capsys.readouterr().err
    assert str(file) in stderr
    assert "Traceback" not in stderr
    text = file.read_text()
    assert "ZeroDivisionError: boom" in text
    assert "arguments: ['list']" in text


def test_a_fault_that_cannot_be_saved_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], umbel_home: Path
) -> None:
    """Without a place for the file the traceback goes to standard error."""
    (umbel_home / "crash").write_text("in the way")
    monkeypatch.setattr(boundary, "_invoke", raising(ZeroDivisionError("boom")))
    assert boundary.run_command(["list"]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["lost"], "No such command"),
        (["list", "--limit", "0"], "limit"),
        (["stop"], "RUN"),
        (["list", "--limit", "x"], "--limit"),
    ],
)
def test_a_mistyped_command_line_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    """Exit code 2, what is wrong, and where to read on."""
    assert boundary.run_command(arguments) == 2
    stderr = capsys.readouterr().err
    assert part in stderr
    assert "--help" in stderr


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["run", "-h"], ["config"], ["config", "--help"]])
def test_help_is_no_error(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Also without any argument."""
    assert boundary.run_command(arguments) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x1b]0;title\x07", "\x07", "\r", "\x9b31m", "\x1bc"])
def test_text_from_elsewhere_is_harmless(hostile: str) -> None:
    """What would steer a terminal is taken out; newlines and tabs stay."""
    cleaned = clean(f"a{hostile}\n\tb")
    assert not set(cleaned) & set("\x1b\x07\r\x9b")
    assert cleaned.endswith("\n\tb")


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, NO_COLOR and a dumb terminal get plain text."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert styled("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert styled("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert styled("x", "red", Terminal()) == "x"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("x", "red", Terminal()) == "x"
