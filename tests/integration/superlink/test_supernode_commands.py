"""`umbel supernode` and `umbel log --node` at a real SuperLink."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.apps import write_app
from tests.support.superlink_process import Program, program
from umbel.bundle import build_fab
from umbel.cli.boundary import run_command
from umbel.supernode.state import load_key
from umbel.wire.api import ClaimedTask, LogLine, Report, StartRun
from umbel.wire.messages import Activate
from umbel.wire.programs import FleetClient
from umbel.wire.signatures import node_credentials, node_keyid


@pytest.fixture
def superlink(umbel_home: Path) -> Iterator[Program]:
    """A SuperLink that lets registered nodes in only, and is the default connection."""
    with program(umbel_home, "--enable-supernode-auth", "--simulation") as running:
        (umbel_home / "config.toml").write_text(
            f'[superlink]\ndefault = "far"\n[superlink.far]\naddress = "{running.address}"\n'
            f'token-file = "{umbel_home / "local" / "token"}"\n'
        )
        yield running


def umbel(*arguments: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    """What a command answers in JSON."""
    assert run_command([*arguments, "--format", "json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_site_joins_and_leaves(superlink: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Make a key, register it, start with it, see the node, give it another key, unregister it: all by commands."""
    key = tmp_path / "site"
    made = umbel("supernode", "keygen", str(key), capsys=capsys)
    assert made["public-key"] == key.with_suffix(".pub").read_text().strip()
    assert key.stat().st_mode & 0o777 == 0o600
    node_id = umbel("supernode", "register", f"{key}.pub", "--name", "Ward 3", capsys=capsys)["node-id"]
    fleet = FleetClient(superlink.address, node_credentials(load_key(key)))
    assert fleet.activate(Activate(version="1")).node_id == node_id
    (row,) = umbel("supernode", "ls", capsys=capsys)["nodes"]
    assert (row["node-id"], row["name"], row["status"]) == (node_id, "Ward 3", "online")
    assert row["public-key"] == node_keyid(load_key(key).public_key().public_bytes_raw())

    other = umbel("supernode", "keygen", str(tmp_path / "new"), capsys=capsys)
    assert umbel("supernode", "rotate", str(node_id), other["public-key"], capsys=capsys)["node-id"] == node_id
    again = FleetClient(superlink.address, node_credentials(load_key(tmp_path / "new")))
    assert again.activate(Activate(version="1")).node_id == node_id

    assert umbel("supernode", "unregister", str(node_id), capsys=capsys)["success"]
    assert umbel("supernode", "list", capsys=capsys)["nodes"] == []
    (row,) = umbel("supernode", "list", "-v", capsys=capsys)["nodes"]
    assert (row["status"], row["public-key"]) == ("unregistered", None)
    for client in (fleet, again):
        client.close()


def test_the_commands_speak_to_people(superlink: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without JSON there are sentences and a table."""
    key = str(tmp_path / "site")
    for arguments, words in (
        (["list"], "There are no nodes yet"),
        (["keygen", key], "umbel supernode register"),
        (["register", f"{key}.pub"], "is registered"),
        (["list"], "offline"),
    ):
        assert run_command(["supernode", *arguments]) == 0
        assert words in capsys.readouterr().out


def test_bad_keys_and_nodes_are_explained(
    superlink: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A private key is not even sent; a key file is not overwritten; a node that is not there is not found."""
    key = str(tmp_path / "site")
    umbel("supernode", "keygen", key, capsys=capsys)
    assert "not overwritten" in umbel("supernode", "keygen", key, capsys=capsys, code=3)["hint"]
    assert "stays at its site" in umbel("supernode", "register", key, capsys=capsys, code=2)["error-message"]
    assert umbel("supernode", "register", "nonsense", capsys=capsys, code=15)["error-code"] == "request-invalid"
    assert umbel("supernode", "unregister", "7", capsys=capsys, code=7)["error-code"] == "not-found"


def test_the_log_of_one_node(superlink: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`umbel log RUN --node ID` shows the lines of that node, stored or followed, and no others."""
    control, executor = superlink.control(), superlink.executor()
    fab_hash = control.put_object(build_fab(write_app(tmp_path / "app")).data)
    run = control.start_run(StartRun(fab_hash=fab_hash))
    task = executor.claim("exec", ["simulation"])
    assert isinstance(task, ClaimedTask)
    process = superlink.of_task(task)
    process.input(task.task_id)
    lines = [LogLine(text=f"said by {node}", node_id=node) for node in (None, 5, 6, 5)]
    process.report(task.task_id, Report(seq=1, logs=lines))
    control.stop_run(run.run_id)
    for option in ("--show", "--stream"):
        assert run_command(["log", str(run.run_id), option, "--node", "5"]) == 0
        out = capsys.readouterr().out
        assert (out.count("said by 5"), "said by 6" in out, "said by None" in out) == (2, False, False)
