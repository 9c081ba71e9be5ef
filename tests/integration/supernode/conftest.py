"""A SuperLink that the test plays, with a run, and real SuperNodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from tests.support.distributions import stock_wheels
from tests.support.fake_superlink import LIMIT, FakeSuperLink, fake_superlink
from umbel.app import ArrayRecord, ConfigRecord, RecordDict
from umbel.bundle import build_fab

APP = Path(__file__).parent / "app"


class Node:
    """A SuperNode process."""

    def __init__(self, address: str, state: Path, *options: str) -> None:
        self.state = state
        command = [sys.executable, "-m", "umbel.supernode.main", "--superlink", address, "--state-dir", str(state)]
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._said = ""

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_for(self, text: str) -> None:
        """Wait until it writes a line with this text."""
        assert self.process.stdout is not None
        assert any(text in line for line in self.process.stdout), f"It ended without saying {text!r}."

    def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        self.said()

    def end(self) -> int:
        """End it as a person would; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.said()
        return self.process.returncode

    def said(self) -> str:
        """All that it wrote, once it has ended."""
        if self.process.stdout and not self.process.stdout.closed:
            self._said = self.process.communicate(timeout=LIMIT)[0]
        return self._said


StartNode = Callable[..., Node]


@pytest.fixture
def superlink() -> Iterator[FakeSuperLink]:
    """A SuperLink with run 7, of the app in this folder."""
    with fake_superlink() as one:
        one.add_run(build_fab(APP).data)
        yield one


@pytest.fixture
def start(superlink: FakeSuperLink, tmp_path: Path) -> Iterator[StartNode]:
    """Start SuperNodes; they end with the test."""
    started: list[Node] = []

    def start(*options: str, state: str = "node") -> Node:
        node = Node(superlink.address, tmp_path / state, *options)
        started.append(node)
        return node

    yield start
    for node in started:
        node.process.terminate()
    for node in started:
        print(node.said())


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder from which uv installs; it has `demo-lib` 1.0 and 2.0."""
    return stock_wheels(tmp_path, monkeypatch)


class Gate:
    """A named pipe at which a client waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self.begun = Path(f"{path}.begun")
        os.mkfifo(self.begun)

    def wait(self) -> int:
        """Wait until a client stands there; its process."""
        return int(self.begun.read_text())

    def open(self) -> None:
        """Let it continue."""
        self.path.write_bytes(b"")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate."""
    return Gate(tmp_path / "gate")


@cache
def values(size: int) -> NDArray[np.float32]:
    """The numbers in `model`."""
    numbers = (np.arange(size) % 1_000_003).astype(np.float32)
    numbers.setflags(write=False)
    return numbers


def model(size: int = 10, gate: Gate | None = None, **config: float) -> RecordDict:
    """A content with `size` float32 numbers, 0, 1, 2 and so on, modulo 1,000,003."""
    settings = ConfigRecord({"gate": str(gate.path) if gate else "", **config})
    return RecordDict({"arrays": ArrayRecord([values(size)]), "config": settings})
