"""Programs of different versions meet: each says so in a sentence, and ends with the code of its error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.superlink.served import Served, problem
from tests.support.superlink_process import EXECUTOR, Program, program
from umbel import __version__
from umbel.cli.local import connect_local
from umbel.errors import VersionMismatch
from umbel.wire.api import ServerInfo
from umbel.wire.connection import HEADER, fits, read_record
from umbel.wire.http import HttpClient

OLD = """
import sys, umbel
umbel.__version__ = "0.0.9"
from {module} import main
sys.exit(main({arguments}))
"""


def old(module: str, *arguments: str) -> list[str]:
    """The command line of a program of an older version."""
    return [sys.executable, "-c", OLD.format(module=module, arguments=list(arguments) or "")]


@pytest.mark.parametrize(
    ("one", "other", "fit"),
    [
        ("0.1.0", "0.1.7", True),
        ("0.1.0", "0.1", True),
        ("0.1.0", "0.1.1.dev3", True),
        ("0.1.0", "0.2.0", False),
        ("1.1.0", "0.1.0", False),
        ("0.1.0", "", False),
        ("0.1.0", "0.10.0", False),
    ],
)
def test_versions_fit_by_their_first_two_numbers(one: str, other: str, fit: bool) -> None:
    """0.1.x fits 0.1.y, and nothing else."""
    assert fits(one, other) is fits(other, one) is fit


async def test_another_version_is_refused_first(served: Served) -> None:
    """A client of another version learns so before anything else, whatever its credential; both versions are named."""
    for token in ("user-token", "wrong"):
        found = await served.refused("GET", "/api/v1/info", token=token, Umbel_Version="9.3.1")
        assert (found.status, found.code) == (426, "version-mismatch")
        assert "9.3.1" in found.detail
        assert __version__ in found.detail
        assert "pip install 'umbel==" in str(found.hint)


async def test_every_answer_says_its_version(served: Served) -> None:
    """Good answers and refusals carry the SuperLink's version; a client without one, such as a browser, is served."""
    for response in (
        await served.client.get("/health"),
        await served.request("GET", "/api/v1/info"),
        await served.request("GET", "/api/v1/info", token="wrong"),
        await served.request("GET", "/no/such/route"),
    ):
        assert response.headers[HEADER] == __version__
    assert problem(await served.request("GET", "/api/v1/runs/1")).code == "not-found"


@pytest.fixture(scope="module")
def running(shared_home: Path) -> Iterator[Program]:
    """A SuperLink of this version."""
    with program(shared_home) as one:
        yield one


def test_the_clients_say_their_version(running: Program) -> None:
    """A client introduces itself with its version, and the refusal arrives as its error."""
    token = (running.home / "local" / "token").read_text()
    stranger = HttpClient(running.address, token, version="0.0.9")
    with pytest.raises(VersionMismatch, match=r"0\.0\.9"):
        stranger.call("GET", "/api/v1/info", ServerInfo)
    assert running.control().info().version == __version__


SUPERNODE = ("umbel.supernode.main", ["--superlink", "{address}", "--state-dir", "{home}/node"])
PROGRAMS: dict[str, tuple[str, list[str]]] = {
    "umbel list": ("umbel.cli.main", []),
    "umbel-superexec": ("umbel.superexec.main", ["--superlink", "{address}"]),
    "umbel-supernode": SUPERNODE,
    "umbel-simulation": ("umbel.simulation.main", ["--superlink", "{address}", "--task-id", "1"]),
    "umbel-serverapp": ("umbel.deployment.main", ["--superlink", "{address}", "--task-id", "1"]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_program_shows_a_stack_trace(running: Program, umbel_home: Path, name: str) -> None:
    """The CLI, SuperExec, SuperNode and app processes of an older version say in a sentence what does not fit, and end with its code."""
    module, arguments = PROGRAMS[name]
    (umbel_home / "config.toml").write_text(
        f'[superlink]\ndefault = "far"\n[superlink.far]\naddress = "{running.address}"\n'
        f'token-file = "{running.home / "local" / "token"}"\n'
    )
    filled = [argument.format(address=running.address, home=umbel_home) for argument in arguments]
    lifeline, held = os.pipe()  # of app processes: they end when no one holds its other end
    more = ["list"] if name == "umbel list" else []
    ended = subprocess.run(
        [*old(module, *filled), *more],
        env={**os.environ, "UMBEL_EXECUTOR_TOKEN": EXECUTOR, "UMBEL_TASK_TOKEN": "1.1.secret"},
        stdin=lifeline,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    os.close(lifeline)
    os.close(held)
    assert (ended.returncode, "Traceback" in ended.stderr) == (VersionMismatch.exit_code, False), ended.stderr
    assert "0.0.9" in ended.stderr
    assert f"the SuperLink has {__version__}" in ended.stderr


@pytest.mark.slow
def test_an_old_local_superlink_is_replaced(umbel_home: Path) -> None:
    """After an upgrade the idle SuperLink of a version that does not fit is ended, and one of ours is started."""
    ready, told = os.pipe()
    command = old("umbel.superlink.server.main", "--ready-fd", str(told), "--isolation", "process")
    with subprocess.Popen(command, pass_fds=[told]) as process, os.fdopen(ready) as said:
        os.close(told)
        assert json.loads(said.readline())["version"] == "0.0.9"
        assert connect_local().info().version == __version__
        process.wait(20)
    record = read_record()
    assert record is not None
    assert record.pid != process.pid
