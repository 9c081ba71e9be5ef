"""Finds an environment for what an app declares, or makes one."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from umbel import _os
from umbel.environments import base, cache
from umbel.environments.install import Bounds, Lifeline, install
from umbel.environments.requirements import check, missing, needed
from umbel.errors import EnvironmentFailed
from umbel.home import environments_dir

LIMIT = 1800.0  # seconds for uv to download, build and install

Say = Callable[[str], object]


@dataclass(frozen=True)
class Environment:
    """An interpreter to start an app's processes with; it stays in place until `close`, or the end of who holds `lock`."""

    interpreter: str
    lock: int | None = None  # a descriptor; None for the base environment, which is never removed

    @property
    def is_base(self) -> bool:
        """Whether it is the interpreter that runs already."""
        return self.lock is None

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment variables of its processes: its programs come first on PATH."""
        if self.is_base:
            return dict(environ)
        programs = Path(self.interpreter).parent
        path = os.pathsep.join([str(programs), *filter(None, [environ.get("PATH")])])
        return {**environ, "PATH": path, "VIRTUAL_ENV": str(programs.parent)}

    def become(self, secrets: Mapping[str, str]) -> NoReturn:
        """Replace this process by the same program in this environment, with additional environment variables."""
        if self.lock is not None:
            os.set_inheritable(self.lock, True)
        command = [self.interpreter, *sys.orig_argv[1:]]
        os.execve(self.interpreter, command, {**self.variables(os.environ), **secrets})  # noqa: S606 - no shell on purpose

    def close(self) -> None:
        """It may be removed from now on, when room is needed."""
        if self.lock is not None:
            os.close(self.lock)


def prepare(
    dependencies: Sequence[str],
    *,
    allowed: bool,
    on_wait: Say | None = None,
    lifeline: Lifeline | None = None,
    limit: float = LIMIT,
) -> Environment:
    """An environment that has `dependencies`: this interpreter's own if it has them, else one made now or earlier.

    It blocks while another process makes the same one. `on_wait` is called with what is waited for, in words that complete "waits
    for"; to cut `lifeline`, from another thread, ends an installation. Raises DependenciesMissing when nothing may be installed,
    EnvironmentFailed when installing fails, AppInvalid for a line that is no requirement.
    """
    if cache.is_inside() or not allowed:
        check(dependencies)
        return Environment(sys.executable)
    lacking = missing(dependencies)
    if not lacking:
        return Environment(sys.executable)
    requirements = sorted(map(str, needed(dependencies)))
    most = cache.limit()
    place = cache.Place(environments_dir(), _key(requirements))
    say = on_wait or (lambda _: None)
    lock = place.open_lock()
    try:
        bounds = Bounds(lifeline or Lifeline(), lock, limit)
        _settle(place, requirements, bounds, lambda what: say(f"{what} {', '.join(lacking)}"))
    except BaseException:
        os.close(lock)
        raise
    cache.shrink(place.root, most)
    return Environment(str(place.python), lock)


def _settle(place: cache.Place, requirements: list[str], bounds: Bounds, say: Say) -> None:
    """Hold the lock of an environment that is there, together with others."""
    _take(bounds.lock, say, shared=True)
    while not place.folder.is_dir():
        _take(bounds.lock, say, shared=False)
        if not place.folder.is_dir():
            say("installing")
            _make(place, requirements, bounds)
        _take(bounds.lock, say, shared=True)  # the lock was let go of for a moment: look again


def _take(lock: int, say: Say, *, shared: bool) -> None:
    if not _os.try_lock(lock, shared=shared):
        say("another run is installing packages")
        _os.lock(lock, shared=shared)


def _make(place: cache.Place, requirements: list[str], bounds: Bounds) -> None:
    place.discard()
    try:
        install(place.making, requirements, bounds)
        cache.finish(place, requirements)
    except OSError as error:
        raise EnvironmentFailed(
            f"The app's dependencies cannot be written to {place.root}: {error.strerror}."
        ) from error
    finally:
        place.clean()


def _key(requirements: list[str]) -> str:
    """Names the environment: the same requirements on the same base."""
    parts = (sys.version, sys.prefix, *base.contents(), "", *requirements)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
