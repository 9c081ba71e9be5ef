"""Permission to install dependencies."""

from __future__ import annotations

import pytest

from umbel.environments.requirements import OPTION, VARIABLE, may_install
from umbel.superexec.main import main
from umbel.superlink.server.settings import parse
from umbel.superlink.server.superexec_child import command


@pytest.mark.parametrize(("value", "is_allowed"), [("", False), ("0", False), ("1", True), ("True", True)])
def test_the_variable_grants_permission(monkeypatch: pytest.MonkeyPatch, value: str, is_allowed: bool) -> None:
    """Nothing is installed unless the environment variable allows it."""
    assert not may_install()
    monkeypatch.setenv(VARIABLE, value)
    assert may_install() == is_allowed


def test_a_superlink_passes_its_option_on() -> None:
    """The SuperExec that a SuperLink starts inherits the option."""
    assert OPTION not in command("http://127.0.0.1:1", may_install=parse([]).may_install)
    assert command("http://127.0.0.1:1", may_install=parse([OPTION]).may_install)[-1] == OPTION


def test_a_superexec_allows_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option of a SuperExec applies to all processes that it starts."""
    monkeypatch.setenv(VARIABLE, "")
    assert main(["--superlink", "http://127.0.0.1:1"]) == 2  # there is no token
    assert not may_install()
    assert main(["--superlink", "http://127.0.0.1:1", OPTION]) == 2
    assert may_install()
