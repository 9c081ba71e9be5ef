"""The other commands, as a person or a program uses them."""

from __future__ import annotations

import json
import os
import pty
import signal
import zipfile
from pathlib import Path

import pytest

from tests.acceptance.cli.conftest import Umbel
from tests.acceptance.cli.test_run_command import ROUNDS
from tests.support.fake_control import FakeSuperLink, make_run
from umbel.wire.api import LogLine, MetricPoint


def test_list_shows_runs_and_what_they_wait_for(umbel: Umbel, fake: FakeSuperLink) -> None:
    """A row for each run, newest first; a running one has its round and its reason to wait."""
    fake.add_run(make_run(41, status="finished", sub_status="completed", running_at=1.0, finished_at=66.0))
    fake.add_run(make_run(42, round=3, num_rounds=10, waiting_for="2 of 5 clients, since 12:00", running_at=1.0))
    lines = umbel("list").stdout.splitlines()
    assert lines[1].startswith("42 ")
    assert "3/10" in lines[1]
    assert "2 of 5 clients, since" in lines[2]
    assert "finished:completed" in lines[-1]
    assert "00:01:05" in lines[-1]


def test_list_json_has_the_familiar_keys(umbel: Umbel, fake: FakeSuperLink) -> None:
    """Names that scripts know, and ours beside them."""
    fake.add_run(make_run(42, round=3, num_rounds=10, pending_at=0.5))
    (row,) = umbel.json("ls")["runs"]
    assert row["run-id"] == 42
    assert row["fab-name"] == "tiny"
    assert row["status"] == "running"
    assert row["pending-at"] == "1970-01-01T00:00:00Z"
    assert row["finished-at"] is None
    assert (row["round"], row["num-rounds"]) == (3, 10)


def test_one_run_in_detail(umbel: Umbel, fake: FakeSuperLink) -> None:
    """--run-id takes a prefix or `last`; --limit does not go with it."""
    fake.add_run(make_run(4242, run_config={"lr": 0.5}, seed=9))
    detail = umbel("list", "--run-id", "42").stdout
    assert "lr=0.5" in detail
    assert umbel.json("list", "--run-id", "last")["runs"][0]["seed"] == 9
    assert umbel.json("list", "--run-id", "last", "--limit", "3", code=2)["error-code"] == "usage"


def test_limit_asks_for_that_many(umbel: Umbel, fake: FakeSuperLink) -> None:
    """The newest ones."""
    for run_id in range(5):
        fake.add_run(make_run(run_id))
    assert [row["run-id"] for row in umbel.json("list", "--limit", "2")["runs"]] == [4, 3]


def test_stop_and_its_json(umbel: Umbel, fake: FakeSuperLink) -> None:
    """The run is stopped; a second time is no error."""
    fake.add_run(make_run(42))
    assert umbel.json("stop", "42") == {"success": True, "run-id": 42, "status": "finished:stopped"}
    assert "had already ended: stopped" in umbel("stop", "last").stdout


@pytest.mark.parametrize("command", ["stop", "pull", "log"])
def test_an_unknown_run_is_an_error(umbel: Umbel, fake: FakeSuperLink, command: str) -> None:
    """Exit code 7, the same for each command that takes a run."""
    assert umbel(command, "9", code=7).stderr.startswith("Error: Run 9 does not exist.")


def test_log_shows_what_is_there(umbel: Umbel, fake: FakeSuperLink) -> None:
    """--show prints the stored lines with their origin and ends while the run continues."""
    fake.add_run(make_run(42))
    fake.log_lines = [LogLine(text="hello", source="clientapp", node_id=3, round=1, level="WARNING")]
    assert umbel("log", "42", "--show").stdout == "--:--:-- WARNING clientapp node 3 r1 | hello\n"


def test_a_reader_that_leaves_is_no_error(umbel: Umbel, fake: FakeSuperLink) -> None:
    """`umbel log | head`: no message, no traceback."""
    fake.add_run(make_run(42))
    fake.log_lines = [LogLine(text="x" * 1000) for _ in range(2000)]
    process = umbel.start("log", "42", "--show")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 1


def test_pull_writes_model_and_metrics(umbel: Umbel, fake: FakeSuperLink) -> None:
    """The default folder is NAME-RUN; the files are the artifacts and the metrics in four forms."""
    fake.add_run(make_run(42, status="finished", sub_status="completed"))
    fake.put("model.safetensors", b"weights" * 1000)
    fake.put("checkpoint", b"state")
    fake.points = [MetricPoint(key="loss", value=0.5, round=1, phase="train")]
    payload = umbel.json("pull", "42")
    assert payload["output"] == "tiny-42"
    assert [file["name"] for file in payload["files"]] == [
        "model.safetensors", "metrics.json", "metrics.csv", "metrics.html", "metrics.png",
    ]  # fmt: skip
    assert (umbel.folder / "tiny-42" / "model.safetensors").read_bytes() == b"weights" * 1000
    umbel("pull", "last", "--output", "here", "--all")
    assert (umbel.folder / "here" / "checkpoint").read_bytes() == b"state"


def test_a_superlink_that_does_not_answer_is_an_error(umbel: Umbel) -> None:
    """The message names the address; the exit code is its own."""
    umbel.home.joinpath("config.toml").write_text('[superlink.dead]\naddress = "127.0.0.1:9"\n')
    payload = umbel.json("list", "dead", code=11)
    assert payload["error-code"] == "superlink-unreachable"
    assert "127.0.0.1:9" in payload["error-message"]


def test_build_then_install(umbel: Umbel, app: Path) -> None:
    """The file is a ZIP under the announced name; installing it unpacks the app among this home's apps."""
    built = umbel.json("build", "--app", app)
    assert (built["fab-id"], built["fab-version"]) == ("acme/tiny", "1.0.0")
    assert zipfile.is_zipfile(umbel.folder / built["fab-filename"])
    installed = umbel.json("install", built["fab-filename"])
    assert Path(installed["path"]) == umbel.home / "apps" / f"acme.tiny.1.0.0.{built['fab-hash'][:8]}"
    assert (Path(installed["path"]) / "tiny" / "client_app.py").exists()


def test_what_is_no_bundle_is_not_installed(umbel: Umbel) -> None:
    """Neither a file that is not there nor one of another kind."""
    (umbel.folder / "x.fab").write_bytes(b"no zip")
    assert umbel.json("install", "x.fab", code=6)["error-code"] == "bundle-invalid"
    assert umbel.json("install", "y.fab", code=7)["error-code"] == "not-found"
    assert umbel.json("install", code=2)["error-code"] == "usage"


@pytest.mark.parametrize("template", ["numpy", "sklearn", "pytorch"])
def test_new_makes_an_app_that_can_be_built(umbel: Umbel, template: str) -> None:
    """Each template, without a network."""
    assert umbel.json("new", "my-app", "--template", template)["path"] == str(umbel.folder / "my-app")
    assert umbel.json("build", "--app", "my-app")["fab-name"] == "my-app"


def test_new_refuses_what_it_does_not_know(umbel: Umbel) -> None:
    """A mistyped template lists the known ones; without a terminal a missing name is an error."""
    assert "numpy" in umbel.json("new", "x", "--template", "nunpy", code=2)["hint"]
    assert umbel.json("new", "--template", "numpy", code=2)["error-message"] == "NAME is missing."


def test_new_asks_in_a_terminal(umbel: Umbel) -> None:
    """Name and template are asked for; Enter takes the default."""
    master, slave = pty.openpty()
    process = umbel.start("new", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, b"asked\n\n")
    output = b""
    while b"umbel run asked" not in output:
        output += os.read(master, 4096)
    assert process.wait(30) == 0
    os.close(master)
    assert (umbel.folder / "asked" / "pyproject.toml").exists()


def test_config_list_names_the_connections(umbel: Umbel) -> None:
    """Also on the very first use, when it writes the file."""
    payload = umbel.json("config", "list")
    assert payload == {
        "success": True,
        "path": str(umbel.home / "config.toml"),
        "superlink": ["local"],
        "default": "local",
    }
    assert "local  :local:  (default)" in umbel("config", "ls").stdout


def test_the_version(umbel: Umbel) -> None:
    """One line, also with other options."""
    assert umbel("--version").stdout == umbel("-V").stdout
    assert umbel("--version").stdout.startswith("umbel 0.")


def test_a_broken_config_is_an_error_with_its_line(umbel: Umbel) -> None:
    """Every command that needs a connection says so."""
    umbel.home.joinpath("config.toml").write_text("[superlink\n")
    assert "line 1" in umbel("list", code=3).stderr


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        (["-c", "learning=1"], 5, "config-key-unknown"),
        (["-c", "lr"], 2, "usage"),
        (["--federation-config", "num-supernodes"], 2, "usage"),
    ],
)
def test_overrides_that_cannot_be_meant_are_refused(
    umbel: Umbel, app: Path, options: list[str], code: int, error: str
) -> None:
    """Before anything starts."""
    assert umbel.json("run", app, *options, code=code)["error-code"] == error
    assert not (umbel.home / "local").exists()


def test_an_app_that_cannot_run_is_refused(umbel: Umbel, app: Path) -> None:
    """A missing module, a broken pyproject.toml, none at all: the message says which; nothing starts."""
    (app / "tiny" / "client_app.py").unlink()
    assert "client_app" in umbel.json("run", app, code=4)["error-message"]
    (app / "pyproject.toml").write_text("[project\n")
    assert "line 1" in umbel.json("run", app, code=4)["error-message"]
    assert umbel.json("run", "nowhere", code=4)["error-code"] == "app-invalid"
    assert not (umbel.home / "local").exists()


def test_detach_and_stream_exclude_each_other(umbel: Umbel, app: Path) -> None:
    """One cannot watch and not watch."""
    assert umbel.json("run", app, "--detach", "--stream", code=2)["error-code"] == "usage"


def test_a_live_run_in_a_terminal(umbel: Umbel, fake: FakeSuperLink, app: Path) -> None:
    """The bar is drawn, and Ctrl-C typed in the terminal stops the run."""
    fake.script = ROUNDS[:2]
    fake.end_stream.clear()
    master, slave = pty.openpty()
    umbel.environment |= {"TERM": "xterm"}
    process = umbel.start("run", app, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    output = b""
    while b"2/3" not in output:
        output += os.read(master, 4096)
    process.send_signal(signal.SIGINT)
    while b"has been stopped" not in output:
        output += os.read(master, 4096)
    assert process.wait(30) == 130
    os.close(master)
    assert "━" in output.decode(errors="replace")
    assert fake.runs[1000].sub_status == "stopped"


def test_json_is_one_line_in_a_pipe(umbel: Umbel, fake: FakeSuperLink) -> None:
    """So that line-oriented tools can read it."""
    stdout = umbel("list", "--format", "json").stdout
    assert stdout.count("\n") == 1
    assert json.loads(stdout) == {"success": True, "runs": []}
