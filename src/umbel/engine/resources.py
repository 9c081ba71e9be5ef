"""Resources of this machine: CPU, memory, GPU, file descriptors, and what processes have used."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from umbel import _os
from umbel.errors import ResourcesMissing


class Stopwatch:
    """Seconds since it was made, and how many of them the process could not have run: it waited for a disk, a network, a device."""

    def __init__(self) -> None:
        """Starts at once."""
        self._began = time.perf_counter()
        self._busy = _os.busy_seconds()

    def read(self) -> tuple[float, float]:
        """Seconds since the start, and thereof blocked."""
        seconds = time.perf_counter() - self._began
        return seconds, max(0.0, seconds - (_os.busy_seconds() - self._busy))


def peak_bytes() -> int:
    """The largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


_MOST_WORKERS_PER_CPU = 4  # for clients that mostly wait
_MEMORY_SHARE = 0.8  # of the memory that is available at the start


@dataclass(frozen=True)
class ClientResources:
    """What one client needs while it is served: CPUs and GPUs, in fractions if need be."""

    num_cpus: float = 1.0
    num_gpus: float = 0.0


@dataclass(frozen=True)
class Machine:
    """What there is: `cpus` this process may use, `gpus` by their ids, available memory in bytes."""

    cpus: int
    gpus: tuple[str, ...]
    memory: int


def this_machine() -> Machine:
    """What there is here and now."""
    return Machine(_os.usable_cpus(), _gpus(), _os.available_memory())


def _gpus() -> tuple[str, ...]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(gpu for gpu in visible.split(",") if gpu)
    return tuple(str(i) for i in range(len(list(Path("/dev").glob("nvidia[0-9]*")))))


@dataclass(frozen=True)
class Plan:
    """How many workers to start with, and how many there may ever be."""

    machine: Machine
    resources: ClientResources
    initial: int
    most: int

    def desired(self, blocked_share: float) -> int:
        """Workers to have when clients are blocked for this share of their time."""
        busy_share = max(1.0 - blocked_share, 1.0 / _MOST_WORKERS_PER_CPU)
        return min(round(self.initial / busy_share), self.most)

    def fit_in_memory(self, peak_bytes: int) -> int:
        """Workers that fit when each needs `peak_bytes`; at least one."""
        return max(1, int(self.machine.memory * _MEMORY_SHARE / peak_bytes)) if peak_bytes else self.most

    def environment(self, slot: int) -> dict[str, str]:
        """Environment variables of the worker in `slot`: its share of the processors and its GPU.

        The number of threads depends on the client's share alone, so that results do not depend on the number of workers.
        """
        first = int(slot * self.resources.num_gpus)
        count = max(1, int(self.resources.num_gpus)) if self.resources.num_gpus else 0
        return worker_environment(self.resources.num_cpus, self.machine.gpus[first : first + count])


def worker_environment(num_cpus: float, gpus: Sequence[str]) -> dict[str, str]:
    """Environment variables of a worker with this number of CPUs and these GPUs."""
    threads = str(max(1, round(num_cpus)))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {**dict.fromkeys(names, threads), "CUDA_VISIBLE_DEVICES": ",".join(gpus)}


def plan(machine: Machine, resources: ClientResources, clients: int, max_workers: int | None = None) -> Plan:
    """The plan for `clients` clients. Raises ResourcesMissing when not even one fits."""
    if resources.num_cpus > machine.cpus:
        raise ResourcesMissing(
            f"Each client requires {resources.num_cpus:g} CPUs, but this machine has {machine.cpus}.",
            hint="Lower client-resources-num-cpus.",
        )
    if resources.num_gpus > len(machine.gpus):
        raise ResourcesMissing(
            f"Each client requires {resources.num_gpus:g} GPUs, but this machine has {len(machine.gpus)}.",
            hint="Lower client-resources-num-gpus, or set it to 0 to train on CPUs.",
        )
    by_cpus = int(machine.cpus / resources.num_cpus) if resources.num_cpus else machine.cpus * _MOST_WORKERS_PER_CPU
    most = min(clients, by_cpus * _MOST_WORKERS_PER_CPU)
    if resources.num_gpus:
        most = min(most, by_cpus, int(len(machine.gpus) / resources.num_gpus + 1e-9))
    if max_workers is not None:
        most = max_workers
    return Plan(machine, resources, max(1, min(by_cpus, most)), max(1, most))
