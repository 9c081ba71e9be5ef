"""Sees to it that a run's program has what its app declares around it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.environments.permission import may_install
from umbel.environments.prepare import Environment, prepare
from umbel.errors import AppInvalid, DependenciesMissing

if TYPE_CHECKING:
    from umbel.runtime.reporter import Reporter


class Elsewhere(BaseException):
    """The program has to begin anew in another environment. Nothing on the way out may take this for an app's fault."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        super().__init__(environment.interpreter)


def settle(dependencies: Sequence[str], reporter: Reporter) -> None:
    """Return when this interpreter has the dependencies, or may not get them: its imports decide then, and the run's log has a warning.

    Raises Elsewhere when an environment has them, which may have been made for it, and EnvironmentFailed when none can be made.
    """
    wait = _Wait(reporter)
    try:
        environment = prepare(dependencies, allowed=may_install(), on_wait=wait)
    except (AppInvalid, DependenciesMissing) as error:
        reporter.log(str(error), "WARNING", "superexec")
        return
    finally:
        wait.end()
    if not environment.is_base:
        reporter.log(f"The run goes on in {Path(environment.interpreter).parents[1]}.", "INFO", "superexec")
        reporter.flush()
        raise Elsewhere(environment)


class _Wait:
    """Tells what the run waits for until its environment is there."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._since: float | None = None

    def __call__(self, what: str) -> None:
        self._since = self._since or time.time()
        self._reporter.event("waiting", {"for": "its environment", "what": what, "since": self._since})

    def end(self) -> None:
        if self._since is not None:
            self._reporter.event("waiting", {"for": "", "what": ""})
