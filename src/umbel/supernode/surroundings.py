"""The environments that the apps of this node's runs work in."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import TYPE_CHECKING

from umbel.environments.lifeline import Lifeline
from umbel.environments.permission import may_install
from umbel.errors import AppInvalid, DependenciesMissing, UmbelError
from umbel.supernode.cancelling import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from umbel.environments.prepare import Environment


@dataclass
class _Making:
    """One run's environment: it is there, could not be made, or is being made on `lifeline`."""

    lifeline: Lifeline = field(default_factory=Lifeline)
    environment: Environment | None = None
    failure: UmbelError | None = None
    is_installing: bool = False
    is_over: bool = False


class Surroundings:
    """Finds or makes an environment for each run, in a thread of its own; it goes on when the message that needed it first is cancelled.

    `on_log` gets what the run's people should know: run id, text, level.
    """

    def __init__(self, on_log: Callable[[int, str, str], None]) -> None:
        self._on_log = on_log
        self._changed = Condition()
        self._makings: dict[int, _Making] = {}

    def of(
        self,
        run_id: int,
        dependencies: Sequence[str],
        is_cancelled: Callable[[], bool],
        on_install: Callable[[], None],
    ) -> Environment:
        """The run's environment, as soon as it is there; `on_install` is called while something is installed for it.

        Raises EnvironmentFailed, after which the next call tries again; Cancelled when `is_cancelled` says so meanwhile.
        """
        with self._changed:
            making = self._makings.get(run_id) or self._begin(run_id, dependencies)
            while making.environment is None:
                if making.failure is not None:
                    raise making.failure
                if is_cancelled():
                    raise Cancelled
                if making.is_installing:
                    on_install()
                self._changed.wait()
        return making.environment

    def look_again(self) -> None:
        """Something was cancelled."""
        with self._changed:
            self._changed.notify_all()

    def over(self, run_id: int) -> None:
        """The run has ended: its environment is not made, or not used, any more."""
        with self._changed:
            making = self._makings.pop(run_id, None)
        if making is not None:
            self._end(making)

    def close(self) -> None:
        """The node ends: nothing is made any more."""
        for run_id in list(self._makings):
            self.over(run_id)

    def _begin(self, run_id: int, dependencies: Sequence[str]) -> _Making:
        making = self._makings[run_id] = _Making()
        work = Thread(target=self._make, args=(run_id, making, dependencies), name=f"environment {run_id}", daemon=True)
        work.start()
        return making

    def _end(self, making: _Making) -> None:
        with self._changed:
            making.is_over = True
            making.lifeline.cut()
            if making.environment is not None:
                making.environment.close()

    # The thread of a run.

    def _make(self, run_id: int, making: _Making, dependencies: Sequence[str]) -> None:
        failure: UmbelError | None = UmbelError(
            "The SuperNode met a fault of its own.", hint="Its log has the traceback."
        )
        environment = None
        try:
            environment, failure = self._prepare(run_id, making, dependencies), None
        except UmbelError as error:
            failure = error
        finally:
            self._made(run_id, making, environment, failure)

    def _prepare(self, run_id: int, making: _Making, dependencies: Sequence[str]) -> Environment:
        from umbel.environments.prepare import prepare

        def on_wait(what: str) -> None:
            self._on_log(run_id, f"Waits for its environment: {what}.", "INFO")
            with self._changed:
                making.is_installing = True
                self._changed.notify_all()

        try:
            return prepare(dependencies, allowed=may_install(), on_wait=on_wait, lifeline=making.lifeline)
        except (AppInvalid, DependenciesMissing) as lacking:
            self._on_log(run_id, str(lacking), "WARNING")
            return prepare([], allowed=False)  # its imports decide

    def _made(self, run_id: int, making: _Making, environment: Environment | None, failure: UmbelError | None) -> None:
        with self._changed:
            making.environment, making.failure = environment, failure
            if failure is not None and self._makings.get(run_id) is making:
                del self._makings[run_id]
            if making.is_over and environment is not None:
                environment.close()
            self._changed.notify_all()
