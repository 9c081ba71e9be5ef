"""A real SuperExec with real processes: what it starts, what it says of their ends, and that none outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.support.superexec import LIMIT, SuperExec, superexec, superlink, wait_until_gone
from umbel.wire.connection import LocalSuperLink, record_path

GRANDCHILD = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print("family", os.getpid(), child.pid)
"""
PAUSE = GRANDCHILD + "import signal\nsignal.pause()\n"
MEGABYTE = 1024 * 1024


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Where a test writes the program that stands in for the simulation."""
    return tmp_path / "program.py"


def family(executor: SuperExec) -> list[psutil.Process]:
    """The task's process and the child that it started."""
    return [psutil.Process(int(pid)) for pid in executor.line("[run 1] family ").split()]


def test_a_process_gets_its_task_and_its_end_is_told(program: Path) -> None:
    """The process has address, id and token of its task and no other secret; its code and last lines are reported."""
    program.write_text("""
import os, sys
print(sys.argv[1:], os.environ["UMBEL_TASK_TOKEN"], "UMBEL_EXECUTOR_TOKEN" in os.environ, os.getpid() == os.getsid(0))
for number in range(49): print("line", number)
sys.exit(3)
""")
    with superlink() as server, superexec(server.address, program):
        server.give(5)
        task_id, returncode, tail = server.exit()
    assert (task_id, returncode) == (5, 3)
    assert tail[0] == f"{['--superlink', server.address, '--task-id', '5']} token of 5 False True"
    assert tail[1:] == [f"line {number}" for number in range(49)]


def test_what_a_killed_process_leaves_is_killed(program: Path) -> None:
    """When a task's process is killed its whole group goes with it, and the signal is reported."""
    program.write_text(PAUSE)
    with superlink() as server, superexec(server.address, program) as executor:
        server.give(1)
        processes = family(executor)
        processes[0].kill()
        assert server.exit()[:2] == (1, -signal.SIGKILL)
        wait_until_gone(processes)


def test_a_process_that_cannot_start_is_told(tmp_path: Path) -> None:
    """A program that is not there ends the task with its reason, and the SuperExec takes the next one."""
    with superlink() as server, superexec(server.address, tmp_path / "missing.py"):
        for number in (1, 2):
            server.give(number)
            task_id, returncode, tail = server.exit()
            assert (task_id, returncode) == (number, 2)
            assert "missing.py" in tail[-1]


def test_a_stop_ends_the_process(program: Path) -> None:
    """A directive to stop reaches the process as SIGTERM, which it may use to end in good order."""
    program.write_text("""
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped in good order"))
print("ready")
signal.pause()
""")
    with superlink() as server, superexec(server.address, program) as executor:
        server.give(1)
        executor.line("[run 1] ready")
        server.stopped.set()
        assert server.exit() == (1, 1, ["ready", "stopped in good order"])


@pytest.mark.parametrize("how", ["parent", "SIGTERM"])
def test_nothing_outlives_a_superexec_that_ends(program: Path, how: str) -> None:
    """At the end of its stdin, or at SIGTERM, it ends child and grandchild and then itself; no attempt is lost."""
    program.write_text(PAUSE)
    with superlink() as server, superexec(server.address, program) as executor:
        server.give(1)
        processes = family(executor)
        executor.process.terminate() if how == "SIGTERM" else executor.close_stdin()
        assert executor.process.wait(LIMIT) == 0
        wait_until_gone(processes)
        assert server.exits.empty()


def test_a_process_sees_when_its_superexec_is_killed(program: Path) -> None:
    """A SuperExec that is killed without warning ends its process's stdin, and the process itself."""
    program.write_text("import os, sys\nprint('family', os.getpid())\nsys.stdin.read()\n")
    with superlink() as server, superexec(server.address, program) as executor:
        server.give(1)
        processes = family(executor)
        executor.process.kill()
        wait_until_gone(processes)


def test_tasks_run_side_by_side(program: Path) -> None:
    """Two tasks run at a time with `--max-concurrent 2`."""
    program.write_text("import os, sys\nprint('family', os.getpid())\nsys.stdin.read()\n")
    with superlink() as server, superexec(server.address, program, "--max-concurrent", "2") as executor:
        server.give(1)
        (first,) = family(executor)
        server.give(2, run_id=2)
        executor.line("[run 2] family")
        assert first.is_running()


def test_a_kind_of_tasks_does_not_wait_for_another(program: Path) -> None:
    """ServerApps run beside a simulation that has the only slot of its kind, and beside each other."""
    program.write_text("import os, sys\nprint('family', os.getpid())\nsys.stdin.read()\n")
    with superlink() as server, superexec(server.address, program) as executor:
        server.give(1)
        (simulation,) = family(executor)
        for number in (2, 3):
            server.give(number, run_id=number, kind="serverapp")
            executor.line(f"[run {number}] family")
        assert simulation.is_running()


@pytest.mark.parametrize("over", [True, False])
def test_the_scratch_directory_goes_with_the_run(program: Path, umbel_home: Path, over: bool) -> None:
    """It is removed when the run is over, and kept when the task will be handed out again."""
    program.write_text("""
import os, pathlib
(pathlib.Path(os.environ["UMBEL_HOME"]) / "runs" / "1" / "state").write_text("kept")
""")
    with superlink() as server, superexec(server.address, program):
        server.over = over
        server.give(1)
        server.exit()
        server.give(2, run_id=2)
        server.exit()  # the first task is settled before the second is claimed
    assert (umbel_home / "runs" / "1" / "state").exists() is not over


def test_a_superlink_that_moved_is_found_and_the_process_goes_on(program: Path, umbel_home: Path) -> None:
    """While the SuperLink is gone the process runs; when it is back at another address it hears of its end."""
    program.write_text("import sys, signal\nprint('family', __import__('os').getpid())\nsys.stdin.read()\n")
    with superlink() as second, superlink() as first, superexec(first.address, program) as executor:
        first.give(1)
        (process,) = family(executor)
        first.close()
        record_path().parent.mkdir(parents=True)
        record_path().write_bytes(msgspec.json.encode(LocalSuperLink(second.address, os.getpid(), "1")))
        process.kill()
        assert second.exit()[:2] == (1, -signal.SIGKILL)


def test_a_refused_superexec_ends_with_its_reason(program: Path) -> None:
    """An executor's token that the SuperLink does not know ends the SuperExec with that error's code."""
    with superlink() as server, superexec(server.address, program, token="wrong") as executor:
        assert executor.line("umbel-superexec: ") == "Who are you?"
        assert executor.process.wait(LIMIT) == 9


def test_a_superexec_without_a_token_refuses_to_start() -> None:
    """Started by hand it says in one line what is missing, and ends with 2."""
    command = [sys.executable, "-m", "umbel.superexec.main", "--superlink", "http://127.0.0.1:1"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert run.returncode == 2
    assert "UMBEL_EXECUTOR_TOKEN" in run.stderr
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.usefixtures("unmeasured")
def test_an_idle_superexec_is_small(program: Path) -> None:
    """One that has run a task holds less than 30 MB."""
    program.touch()
    with superlink() as server, superexec(server.address, program) as executor:
        server.give(1)
        server.exit()
        assert psutil.Process(executor.process.pid).memory_info().rss < 30 * MEGABYTE
