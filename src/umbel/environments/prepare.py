"""Selection or creation of the environment for an app's dependencies."""

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
    """An interpreter for the processes of an app. It is not evicted until `close`, or the end of all processes that hold `lock`."""

    interpreter: str
    lock: int | None = None  # a descriptor; None for the base environment, which is never removed

    @property
    def is_base(self) -> bool:
        """Whether it is the environment of the current interpreter."""
        return self.lock is None

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment variables for its processes: `environ`, with its programs first on PATH."""
        if self.is_base:
            return dict(environ)
        programs = Path(self.interpreter).parent
        path = os.pathsep.join([str(programs), *filter(None, [environ.get("PATH")])])
        return {**environ, "PATH": path, "VIRTUAL_ENV": str(programs.parent)}

    def become(self, secrets: Mapping[str, str]) -> NoReturn:
        """Replace this process with the same program in this environment; `secrets` are additional environment variables."""
        if self.lock is not None:
            os.set_inheritable(self.lock, True)
        command = [self.interpreter, *sys.orig_argv[1:]]
        os.execve(self.interpreter, command, {**self.variables(os.environ), **secrets})  # noqa: S606 - no shell on purpose

    def close(self) -> None:
        """Release the lock, so that the environment may be evicted."""
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
    """Return an environment that satisfies `dependencies`: the current one if it does, else an existing or a new one.

    Blocks while another process creates the same environment. `on_wait` is called with the reason for a wait, a phrase for display.
    Cutting `lifeline` from another thread cancels the installation. Raises DependenciesMissing when installation is not allowed,
    EnvironmentFailed when it fails, and AppInvalid for an invalid requirement.
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
        _acquire(place, requirements, bounds, lambda what: say(f"{what} {', '.join(lacking)}"))
    except BaseException:
        os.close(lock)
        raise
    cache.shrink(place.root, most)
    return Environment(str(place.python), lock)


def _acquire(place: cache.Place, requirements: list[str], bounds: Bounds, say: Say) -> None:
    """Acquire the shared lock of the environment, after creating it if it does not exist."""
    _take(bounds.lock, say, shared=True)
    while not place.folder.is_dir():
        _take(bounds.lock, say, shared=False)
        if not place.folder.is_dir():
            say("installing")
            _make(place, requirements, bounds)
        _take(bounds.lock, say, shared=True)  # converting the lock releases it for a moment: check again


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
    """The key of an environment: a digest of its requirements and its base."""
    parts = (sys.version, sys.prefix, *base.contents(), "", *requirements)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
