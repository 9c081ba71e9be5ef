"""Runs whose ClientApps need what the node does not have."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tests.integration.supernode.conftest import StartNode, model
from tests.support.distributions import hanging_sdist
from tests.support.fake_superlink import FakeSuperLink
from tests.support.needy_app import needy
from tests.support.superexec import wait_until_gone
from umbel.app import RecordDict
from umbel.app.message import ErrorCode
from umbel.bundle import build_fab
from umbel.environments.requirements import OPTION


def add_run(superlink: FakeSuperLink, folder: Path, run_id: int, *dependencies: str, module: str = "demo_lib") -> None:
    """A run of an app that needs these."""
    superlink.add_run(build_fab(needy(folder, *dependencies, module=module)).data, run_id)


def stages(superlink: FakeSuperLink) -> list[str]:
    """What the node has said of its messages."""
    return [progress.stage for report in superlink.reports for progress in report.progress]


@pytest.mark.slow
def test_two_runs_have_different_versions(
    superlink: FakeSuperLink,
    start: StartNode,
    tmp_path: Path,
    wheels: Path,
) -> None:
    """A node serves two runs that need different versions of one library, each with its own."""
    versions = {1: "1.0", 2: "2.0"}
    for run_id, version in versions.items():
        add_run(superlink, tmp_path / version, run_id, f"demo-lib=={version}")
    start("--slots", "2", OPTION)
    messages = [superlink.send(model(), "query", run_id=run_id) for run_id in versions]
    assert all(superlink.content(message) == RecordDict() for message in messages)
    for run_id, version in versions.items():
        superlink.wait(lambda: (run_id, f"the client has {version}") in superlink.lines())  # noqa: B023


def test_without_permission_the_error_says_what_is_missing(
    superlink: FakeSuperLink,
    start: StartNode,
    tmp_path: Path,
    wheels: Path,
) -> None:
    """Where nothing may be installed the run's log has a warning, and the client's error names what is missing."""
    add_run(superlink, tmp_path / "app", 1, "demo-lib>=1")
    start()
    error = superlink.reply(superlink.send(model(), "query", run_id=1)).error
    assert error is not None
    assert error.code == ErrorCode.LOAD_CLIENT_APP_EXCEPTION
    superlink.wait(lambda: any("demo-lib>=1 (not installed)" in text for run, text in superlink.lines() if run == 1))


def test_a_message_says_that_its_app_is_being_installed(
    superlink: FakeSuperLink,
    start: StartNode,
    tmp_path: Path,
    wheels: Path,
) -> None:
    """Meanwhile other runs are served, and no one need wait for a message that is cancelled; when the node ends, so does the installation."""
    fifo = tmp_path / "told"
    os.mkfifo(fifo)
    hanging_sdist(wheels, "slow-lib", fifo)
    add_run(superlink, tmp_path / "app", 1, "slow-lib", module="slow_lib")
    node = start(OPTION)
    message = superlink.send(model(), "query", run_id=1)
    builder = psutil.Process(int(fifo.read_text()))
    superlink.wait(lambda: "installing" in stages(superlink))
    superlink.cancel(message)
    superlink.content(superlink.send(model(), run_id=7))
    assert builder.is_running()
    assert node.end() == 0
    wait_until_gone([builder])


def test_what_cannot_be_installed_is_the_reply(
    superlink: FakeSuperLink,
    start: StartNode,
    tmp_path: Path,
    wheels: Path,
) -> None:
    """Where the dependencies cannot be had, the reply is an error with uv's reason."""
    add_run(superlink, tmp_path / "app", 1, "demo-lib==3")
    start(OPTION)
    error = superlink.reply(superlink.send(model(), "query", run_id=1)).error
    assert error is not None
    assert "there is no version of demo-lib==3" in str(error.reason)
