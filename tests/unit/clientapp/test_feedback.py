"""Progress reports of clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from umbel.clientapp import clientapp, progress

Told = list[tuple[float, float, str]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """What is passed on."""
    heard: Told = []
    monkeypatch.setattr(clientapp._Feedback, "told_at", 0.0)
    clientapp.listen(lambda *said: heard.append(said))
    yield heard
    clientapp.listen(None)


def test_the_first_and_the_last_are_passed_on(told: Told) -> None:
    """Of many that follow one another closely, those between are left out."""
    for step in range(1001):
        progress(step, 1000)
    assert (told[0], told[-1]) == ((0.0, 1000.0, "steps"), (1000.0, 1000.0, "steps"))
    assert len(told) < 20


def test_nobody_needs_to_listen(capsys: pytest.CaptureFixture[str]) -> None:
    """In a simulation nothing comes of it."""
    progress(3, unit="epochs")
    assert capsys.readouterr() == ("", "")
