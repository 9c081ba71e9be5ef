"""The state machines of run and task, together, under every order of events."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.examples import examples
from umbel.errors import Conflict
from umbel.superlink.domain import run as runs
from umbel.superlink.domain import task as tasks
from umbel.superlink.domain.run import Run
from umbel.superlink.domain.task import (
    MAX_ATTEMPTS,
    Activate,
    Claim,
    Exit,
    Finish,
    LeaseLost,
    Progress,
    Report,
    Restarted,
    Stop,
    Task,
    TaskEvent,
)
from umbel.wire.api import Cause

CREATED, CLAIMED, ACTIVE = Task(), Task(state="claimed"), Task(state="active")
FINISHED = Task(state="finished", outcome="completed")
ORDER = ["pending", "starting", "running", "finished"]


def after(task: Task, *events: TaskEvent) -> Task:
    """The task after these events."""
    for event in events:
        task = tasks.step(task, event, 1.0).task
    return task


@pytest.mark.parametrize("task", [CLAIMED, ACTIVE, FINISHED])
def test_only_a_created_task_can_be_claimed(task: Task) -> None:
    """A claim of any other task is a conflict."""
    with pytest.raises(Conflict):
        after(task, Claim("exec"))


@pytest.mark.parametrize("task", [CREATED, FINISHED])
def test_only_a_claimed_task_can_begin(task: Task) -> None:
    """A task begins once it is claimed; asking for the input again changes nothing."""
    with pytest.raises(Conflict):
        after(task, Activate())
    assert after(CLAIMED, Activate()) == after(CLAIMED, Activate(), Activate()) == ACTIVE


@pytest.mark.parametrize("event", [Report(1), Finish("completed")])
def test_an_attempt_that_is_over_says_no_more(event: TaskEvent) -> None:
    """A task that waits to be handed out again takes no report and no end."""
    with pytest.raises(Conflict):
        after(CREATED, event)


def test_a_repeated_report_is_told_apart() -> None:
    """Reports are counted within an attempt; one that came before is not accepted again."""
    task = after(ACTIVE, Report(1), Report(2))
    assert task.last_seq == 2
    assert not tasks.step(task, Report(2), 1.0).accepted
    assert not tasks.step(task, Report(1), 1.0).accepted
    assert after(task, Exit(-9)).last_seq == 0


@pytest.mark.parametrize("task", [CLAIMED, ACTIVE])
def test_a_process_that_ends_by_itself_fails_the_run(task: Task) -> None:
    """An exit without a word is a failure with its cause; it is not tried again."""
    step = tasks.step(task, Exit(1, ("last line",)), 5.0)
    assert (step.task.state, step.task.outcome) == ("finished", "failed")
    assert isinstance(step.run, runs.Finished)
    assert step.run.cause is not None
    assert (step.run.cause.code, step.run.cause.component, step.run.cause.log_tail) == (
        "run-failed",
        "superexec",
        ["last line"],
    )


@pytest.mark.parametrize("event", [Exit(-9), LeaseLost(30.0)])
def test_a_lost_process_is_started_again_up_to_the_limit(event: TaskEvent) -> None:
    """A killed or silent process gets another attempt; the last loss fails the run."""
    task = CREATED
    for attempt in range(1, MAX_ATTEMPTS):
        task = after(task, Claim("exec"), Activate(), event)
        assert (task.state, task.attempt) == ("created", attempt + 1)
    step = tasks.step(after(task, Claim("exec")), event, 9.0)
    assert (step.task.state, step.task.outcome, step.task.attempt) == ("finished", "failed", MAX_ATTEMPTS)
    assert isinstance(step.run, runs.Finished)
    assert step.run.cause is not None
    assert step.run.cause.message.startswith("The run failed after 3 attempts")


@pytest.mark.parametrize("progress", [Report(1, progressed=True), Progress()])
def test_a_run_that_gets_further_is_never_given_up(progress: TaskEvent) -> None:
    """What counts is how many attempts in a row got the run nowhere."""
    task = CREATED
    for _ in range(5 * MAX_ATTEMPTS):
        task = after(task, Claim("exec"), Activate(), progress, Exit(-9))
    assert (task.state, task.losses) == ("created", 1)
    assert after(task, Claim("exec"), Activate(), Report(1), Exit(-9)).losses == 2


def test_a_restart_of_the_superlink_counts_no_loss() -> None:
    """However often the SuperLink is started again, the run continues."""
    task = CREATED
    for _ in range(10):
        task = after(task, Claim("exec"), Restarted("its SuperExec died"))
    assert (task.state, task.attempt, task.losses) == ("created", 11, 0)


def test_an_exit_of_another_attempt_is_no_news() -> None:
    """The end of an earlier attempt's process does not touch the present one."""
    task = Task(state="active", attempt=2)
    assert after(task, Exit(-9, attempt=1)) == task
    assert after(task, Exit(-9, attempt=2)).state == "created"


@pytest.mark.parametrize(
    "event", [Finish("failed"), Exit(1), Exit(-9), LeaseLost(1.0), Restarted("its SuperExec died"), Stop()]
)
def test_nothing_changes_a_finished_task(event: TaskEvent) -> None:
    """The end is the end."""
    step = tasks.step(FINISHED, event, 1.0)
    assert (step.task, step.run) == (FINISHED, None)


def test_a_run_never_goes_back() -> None:
    """A second attempt does not make a running run pending again, and its times stay."""
    run = runs.step(runs.step(Run(), runs.Claimed(1.0)), runs.Activated(2.0))
    assert run == Run(status="running", starting_at=1.0, running_at=2.0)
    assert runs.step(run, runs.Claimed(3.0)) is run
    assert runs.step(run, runs.Activated(4.0)) is run
    end = runs.step(run, runs.Finished(5.0, "failed", Cause(code="x", message="y")))
    assert runs.step(end, runs.Finished(6.0, "completed")) is end


def test_the_name_of_a_signal() -> None:
    """Signals are named; one that has no name keeps its number."""
    assert [tasks.signal_name(number) for number in (9, 15, 99)] == ["SIGKILL", "SIGTERM", "signal 99"]


class Life(RuleBasedStateMachine):
    """Any order of events, with what must hold after each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.task, self.run, self.now = Task(), Run(), 0.0
        self.statuses: list[dict[str, object]] = [{"status": "pending"}]

    def happen(self, event: TaskEvent) -> None:
        """Let an event happen, or be refused."""
        before, self.now = self.task, self.now + 1.0
        try:
            step = tasks.step(self.task, event, self.now)
        except Conflict:
            return
        self.task = step.task
        if step.run is not None:
            run = runs.step(self.run, step.run)
            if run != self.run:
                self.statuses.append({"status": run.status, "sub_status": run.sub_status})
            self.run = run
        if (before.state, before.attempt) != (self.task.state, self.task.attempt):
            assert step.reason
        assert self.task.attempt >= before.attempt
        if before.state == "finished":  # only late logs are still counted
            assert msgspec.structs.replace(self.task, last_seq=before.last_seq) == before

    @rule()
    def claim(self) -> None:
        self.happen(Claim("exec"))

    @rule()
    def activate(self) -> None:
        self.happen(Activate())

    @rule(seq=st.integers(1, 5))
    def report(self, seq: int) -> None:
        self.happen(Report(seq))

    @rule(outcome=st.sampled_from(["completed", "failed"]))
    def finish(self, outcome: str) -> None:
        self.happen(Finish("completed" if outcome == "completed" else "failed"))

    @rule(returncode=st.sampled_from([-9, 0, 1]), attempt=st.integers(0, 4))
    def exit(self, returncode: int, attempt: int) -> None:
        self.happen(Exit(returncode, ("log",), attempt))

    @rule()
    def lose_lease(self) -> None:
        self.happen(LeaseLost(30.0))

    @rule()
    def restart(self) -> None:
        self.happen(Restarted("its SuperExec died"))

    @precondition(lambda self: self.now > 5)
    @rule()
    def stop(self) -> None:
        self.happen(Stop())
        assert self.run.status == "finished"

    @invariant()
    def run_and_task_agree(self) -> None:
        """They end together, with the same outcome; a failure and a stop have a cause."""
        assert (self.run.status == "finished") == (self.task.state == "finished")
        assert self.run.sub_status == self.task.outcome
        assert self.task.losses <= MAX_ATTEMPTS
        if self.task.state in ("claimed", "active"):
            assert self.run.status in ("starting", "running")
        if self.run.sub_status == "stopped":
            assert self.run.cause is not None

    @invariant()
    def events_fold_to_the_state(self) -> None:
        """The run's transitions go forwards, and fold to where it stands."""
        assert runs.fold(self.statuses) == (self.run.status, self.run.sub_status)
        positions = [ORDER.index(str(data["status"])) for data in self.statuses]
        assert positions == sorted(set(positions))


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
