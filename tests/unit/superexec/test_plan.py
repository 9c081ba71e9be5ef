"""Decisions of a SuperExec."""

from __future__ import annotations

import pytest

from umbel.errors import UsageError
from umbel.superexec import plan


def test_a_task_gets_its_own_token_only() -> None:
    """The process of a task sees its task's token, not the executor's, and writes its output unbuffered."""
    environ = {"PATH": "/bin", "UMBEL_HOME": "/h", "UMBEL_EXECUTOR_TOKEN": "secret"}
    expected = {"PATH": "/bin", "UMBEL_HOME": "/h", "UMBEL_TASK_TOKEN": "mine", "PYTHONUNBUFFERED": "1"}
    assert plan.environment(environ, "mine", 2**32 + 5) == expected | {"PYTHONHASHSEED": "5"}
    assert plan.environment(environ | {"PYTHONHASHSEED": "0"}, "mine", 5)["PYTHONHASHSEED"] == "0"


def test_the_command_names_superlink_and_task() -> None:
    """A program is told where its SuperLink is and which task it is; no secret is on the command line."""
    assert plan.command(["prog"], "http://h:1", 7) == ["prog", "--superlink", "http://h:1", "--task-id", "7"]


def test_the_token_is_required() -> None:
    """Without an executor's token a SuperExec refuses, and says that it need not be started by hand."""
    assert plan.executor_token({"UMBEL_EXECUTOR_TOKEN": "x"}) == "x"
    with pytest.raises(UsageError, match=r"UMBEL_EXECUTOR_TOKEN.*no need to start one manually"):
        plan.executor_token({})


def test_the_number_of_concurrent_runs() -> None:
    """The option wins over the environment, which wins over the defaults; anything below 1, or no number, is refused by its name."""
    assert plan.max_concurrent(3, {"UMBEL_MAX_CONCURRENT_RUNS": "2"}) == {"simulation": 3, "serverapp": 3}
    assert plan.max_concurrent(None, {"UMBEL_MAX_CONCURRENT_RUNS": "2"}) == {"simulation": 2, "serverapp": 2}
    assert plan.max_concurrent(None, {}) == {"simulation": 1, "serverapp": 8}
    with pytest.raises(UsageError, match="UMBEL_MAX_CONCURRENT_RUNS=many"):
        plan.max_concurrent(None, {"UMBEL_MAX_CONCURRENT_RUNS": "many"})
    with pytest.raises(UsageError, match="--max-concurrent 0"):
        plan.max_concurrent(0, {})


def test_the_tail_keeps_the_last_lines() -> None:
    """50 lines are kept; a long one is cut, a rewritten one is what stood there last, bad bytes are replaced."""
    tail = plan.Tail()
    for number in range(60):
        tail.add(b"line %d\n" % number)
    assert tail.lines() == [f"line {number}" for number in range(10, 60)]
    assert tail.add(b"x" * 5000) == "x" * plan.LONGEST_LINE
    assert tail.add(b"10 %\r 50 %\r100 %\r\n") == "100 %"
    assert tail.add(b"\xff\n") == "�"
    assert len(tail.lines()) == plan.TAIL_LINES


def test_a_process_trusts_whom_its_superexec_trusts() -> None:
    """The root certificates of the SuperExec are those of its processes; what was set for another program is not."""
    environ = {plan.ROOT_CERTIFICATES: "/other.pem"}
    assert plan.environment(environ, "mine", 1, "/ca.pem")[plan.ROOT_CERTIFICATES] == "/ca.pem"
    assert plan.ROOT_CERTIFICATES not in plan.environment(environ, "mine", 1)
