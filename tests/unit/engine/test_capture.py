"""Captured output of clients."""

from __future__ import annotations

import pytest

from umbel.engine.clients import LineCapture


def printed(*texts: str) -> list[str]:
    """The lines that come of writing these texts."""
    lines: list[str] = []
    stream = LineCapture(lambda text, level: lines.append(f"{level} {text}"), "INFO")
    for text in texts:
        assert stream.write(text) == len(text)
    stream.finish()
    stream.finish()
    return [line.removeprefix("INFO ") for line in lines]


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        (["one\ntwo\n"], ["one", "two"]),
        (["o", "ne", "\n", "two"], ["one", "two"]),
        (["\n\n"], ["", ""]),
        (["one\r\n", "two\r", "\n"], ["one", "two"]),
        (["10%\r", "50%\r", "100%\r", "\n", "done"], ["100%", "done"]),
        (["\r10%", "\r50%", "\r100%"], ["100%"]),
    ],
)
def test_lines_are_what_a_terminal_shows(texts: list[str], lines: list[str]) -> None:
    """However they were written; of a progress bar the last state."""
    assert printed(*texts) == lines


def test_what_never_ends_its_line_costs_no_memory() -> None:
    """A progress bar without end, or dots without a line break, do not pile up."""
    lines: list[str] = []
    stream = LineCapture(lambda text, level: lines.append(text), "INFO")
    for number in range(20_000):
        stream.write(f"\r{number}")
    assert stream._rest == "19999"
    for _ in range(20_000):
        stream.write(".")
    assert [len(line) for line in lines] == [8_192, 8_192]
