"""Command lines, environments and limits of task processes."""

from __future__ import annotations

import pytest

from umbel.errors import UsageError
from umbel.superexec import plan


def test_a_task_gets_its_own_token_only() -> None:
    """A task's process has the task's token and not the executor's, and writes its output unbuffered."""
    environ = {"PATH": "/bin", "UMBEL_HOME": "/h", "UMBEL_EXECUTOR_TOKEN": "secret"}
    expected = {"PATH": "/bin", "UMBEL_HOME": "/h", "UMBEL_TASK_TOKEN": "mine", "PYTHONUNBUFFERED": "1"}
    assert plan.environment(environ, "mine", 2**32 + 5) == expected | {"PYTHONHASHSEED": "5"}
    assert plan.environment(environ | {"PYTHONHASHSEED": "0"}, "mine", 5)["PYTHONHASHSEED"] == "0"


def test_the_command_names_superlink_and_task() -> None:
    """The command line has the SuperLink's address and the task ID, and no secret."""
    assert plan.command(["prog"], "http://h:1", 7) == ["prog", "--superlink", "http://h:1", "--task-id", "7"]


def test_the_token_is_required() -> None:
    """Without an executor token the error says that a SuperExec need not be started manually."""
    assert plan.executor_token({"UMBEL_EXECUTOR_TOKEN": "x"}) == "x"
    with pytest.raises(UsageError, match=r"UMBEL_EXECUTOR_TOKEN.*no need to start one manually"):
        plan.executor_token({})


def test_the_number_of_concurrent_runs() -> None:
    """The option takes precedence over the environment variable, and that over the default; an invalid number is named."""
    assert plan.max_concurrent(3, {"UMBEL_MAX_CONCURRENT_RUNS": "2"}) == {"simulation": 3, "serverapp": 3}
    assert plan.max_concurrent(None, {"UMBEL_MAX_CONCURRENT_RUNS": "2"}) == {"simulation": 2, "serverapp": 2}
    assert plan.max_concurrent(None, {}) == {"simulation": 1, "serverapp": 8}
    with pytest.raises(UsageError, match="UMBEL_MAX_CONCURRENT_RUNS=many"):
        plan.max_concurrent(None, {"UMBEL_MAX_CONCURRENT_RUNS": "many"})
    with pytest.raises(UsageError, match="--max-concurrent 0"):
        plan.max_concurrent(0, {})


def test_the_tail_keeps_the_last_lines() -> None:
    """50 lines are kept; long ones are truncated, overwritten ones keep their last text, and invalid bytes are replaced."""
    tail = plan.Tail()
    for number in range(60):
        tail.add(b"line %d\n" % number)
    assert tail.lines() == [f"line {number}" for number in range(10, 60)]
    assert tail.add(b"x" * 5000) == "x" * plan.LONGEST_LINE
    assert tail.add(b"10 %\r 50 %\r100 %\r\n") == "100 %"
    assert tail.add(b"\xff\n") == "�"
    assert len(tail.lines()) == plan.TAIL_LINES


def test_a_process_inherits_the_root_certificates() -> None:
    """A process trusts the certificate authorities of its SuperExec, and not those set for another program."""
    environ = {plan.ROOT_CERTIFICATES: "/other.pem"}
    assert plan.environment(environ, "mine", 1, "/ca.pem")[plan.ROOT_CERTIFICATES] == "/ca.pem"
    assert plan.ROOT_CERTIFICATES not in plan.environment(environ, "mine", 1)
