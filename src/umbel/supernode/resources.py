"""Compute resources of a site: the budget of slots, CPUs and GPUs, and the queue of messages that wait for it."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING

from umbel.supernode.jobs import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from umbel.bundle.config import Scalar


_ROUNDING = 1e-9


@dataclass(frozen=True)
class Need:
    """Resources that one client requires: CPUs and GPUs, which may be fractions."""

    cpus: float
    gpus: float


@dataclass(frozen=True)
class Grant:
    """Resources granted to one client: CPUs, and the share `gpu_share` of each GPU."""

    cpus: float
    gpus: tuple[str, ...] = ()
    gpu_share: float = 1.0


class Budget:
    """The slots, CPUs and GPUs of the node. Not safe for concurrent use: see `Slots`."""

    def __init__(self, slots: int, cpus: float, gpus: Sequence[str]) -> None:
        self._all = (slots, cpus, tuple(gpus))
        self._slots = slots
        self._cpus = cpus
        self._gpus = dict.fromkeys(gpus, 1.0)

    def need(self, app_settings: Mapping[str, Scalar]) -> Need:
        """The resources of one client: those that the app's settings request, limited to what the node has; by default one slot's share."""
        slots, cpus, gpus = self._all
        plain = {key.removeprefix("options.").replace("_", "-"): value for key, value in app_settings.items()}
        return Need(
            min(cpus, _number(plain.get("client-resources-num-cpus"), cpus / slots)),
            _whole_or_share(min(len(gpus), _number(plain.get("client-resources-num-gpus"), len(gpus) / slots))),
        )

    def take(self, need: Need) -> Grant | None:
        """Take the required resources; None if they are not available."""
        gpus = self._free_gpus(need.gpus)
        if not self._slots or gpus is None or self._cpus + _ROUNDING < need.cpus:
            return None
        grant = Grant(need.cpus, gpus, min(1.0, need.gpus) if gpus else 1.0)
        self._move(grant, -1)
        return grant

    def release(self, grant: Grant) -> None:
        """Return the resources of a client that has finished."""
        self._move(grant, 1)

    def _move(self, grant: Grant, sign: int) -> None:
        self._slots += sign
        self._cpus += sign * grant.cpus
        for gpu in grant.gpus:
            self._gpus[gpu] += sign * grant.gpu_share

    def _free_gpus(self, count: float) -> tuple[str, ...] | None:
        if not count:
            return ()
        share = min(1.0, count)
        free = [gpu for gpu, left in self._gpus.items() if left + _ROUNDING >= share]
        wanted = max(1, int(count))
        return tuple(free[:wanted]) if len(free) >= wanted else None


def _number(value: Scalar | None, default: float) -> float:
    is_usable = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    return float(value) if is_usable and value is not None else default


def _whole_or_share(gpus: float) -> float:
    return gpus if gpus < 1 else float(int(gpus))


class Slots:
    """Access to a budget from several threads, first come, first served."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._changed = Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def acquire(self, need: Need, is_cancelled: Callable[[], bool]) -> Iterator[Grant]:
        """Wait for the required resources and hold them during the block. Raises Cancelled when `is_cancelled` returns true while waiting."""
        grant = self._wait(need, is_cancelled)
        try:
            yield grant
        finally:
            with self._changed:
                self._budget.release(grant)
                self._changed.notify_all()

    def wake(self) -> None:
        """Let waiting threads check `is_cancelled` again."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, need: Need, is_cancelled: Callable[[], bool]) -> Grant:
        me = object()
        with self._changed:
            self._waiting.append(me)
            try:
                while not is_cancelled():
                    if self._waiting[0] is me and (grant := self._budget.take(need)):
                        return grant
                    self._changed.wait()
                raise Cancelled
            finally:
                self._waiting.remove(me)
                self._changed.notify_all()
