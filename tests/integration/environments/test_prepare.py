"""Environments that uv makes, from wheels of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.distributions import hanging_sdist, wheel
from tests.support.superexec import LIMIT, wait_until_gone
from umbel.environments.install import Lifeline
from umbel.environments.prepare import Environment, prepare
from umbel.errors import ConfigError, DependenciesMissing, EnvironmentFailed

VERSION = "import demo_lib; print(demo_lib.VERSION)"
MAKE = "from umbel.environments.prepare import prepare; print(prepare(['demo-lib'], allowed=True, on_wait=print).interpreter)"


@pytest.fixture
def made(wheels: Path) -> Callable[..., Environment]:
    """Prepare an environment, which is let go of at once."""

    def make(*dependencies: str, on_wait: Callable[[str], object] | None = None) -> Environment:
        environment = prepare(dependencies, allowed=True, on_wait=on_wait)
        environment.close()
        return environment

    return make


def run(environment: Environment, code: str) -> list[str]:
    """The lines that `code` prints in an environment."""
    command = [environment.interpreter, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT).stdout.splitlines()


def left(umbel_home: Path) -> list[str]:
    """What lies among the environments, locks aside."""
    return sorted(path.name for path in (umbel_home / "environments").iterdir() if path.suffix != ".lock")


def test_what_is_there_needs_no_environment(wheels: Path, umbel_home: Path) -> None:
    """An app whose dependencies this interpreter has runs in it, and nothing is made."""
    environment = prepare(["umbel", "numpy>=1.26", "flwr>=1"], allowed=True)
    assert environment.is_base
    assert environment.interpreter == sys.executable
    assert not (umbel_home / "environments").exists()


def test_nothing_is_installed_without_permission(wheels: Path, umbel_home: Path) -> None:
    """Where installing is not allowed, what is missing is an error and nothing is made."""
    with pytest.raises(DependenciesMissing, match=r"demo-lib==1\.0 \(not installed"):
        prepare(["demo-lib==1.0"], allowed=False)
    assert not (umbel_home / "environments").exists()


def test_two_versions_live_side_by_side(made: Callable[..., Environment]) -> None:
    """Each set of requirements has its own environment, made once and found again; the order of the lines does not matter."""
    said: list[str] = []
    one = made("demo-lib==1.0", "numpy", on_wait=said.append)
    two = made("demo-lib==2.0", on_wait=said.append)
    assert [run(one, VERSION), run(two, VERSION)] == [["1.0"], ["2.0"]]
    assert said == ["installing demo-lib==1.0", "installing demo-lib==2.0"]
    assert made("numpy", "demo-lib==1.0", on_wait=said.append).interpreter == one.interpreter
    assert len(said) == 2


def test_an_environment_sees_what_the_base_has(made: Callable[..., Environment]) -> None:
    """Umbel, NumPy and the base's metadata are the base's own; only what was missing is in the environment."""
    environment = made("demo-lib")
    code = "import umbel, numpy, importlib.metadata as m; print(umbel.__file__, numpy.__file__, m.version('umbel'), m.version('demo-lib'))"
    here = subprocess.run([sys.executable, "-c", code.replace("m.version('demo-lib')", "'2.0'")], capture_output=True, text=True, check=True)  # fmt: skip
    assert run(environment, code) == here.stdout.splitlines()
    (packages,) = Path(environment.interpreter).parents[1].glob("lib/*/site-packages")
    ours = {path.name for path in packages.iterdir()}
    assert {"demo_lib.py", "demo_lib-2.0.dist-info", "umbel_base.pth"} <= ours
    assert not any(name.startswith(("numpy", "umbel-")) for name in ours)


def test_the_apps_version_comes_before_the_bases(made: Callable[..., Environment], wheels: Path) -> None:
    """A version that the base does not have is installed, also of what a dependency asks for, and the base keeps its own."""
    wheel(wheels, "iniconfig", "99.0")
    wheel(wheels, "new-lib", "1.0", ["iniconfig>=99", "flwr>=1", "umbel>=99"])
    environment = made("new-lib")
    assert run(environment, "import iniconfig; print(iniconfig.VERSION)") == ["99.0"]
    base = subprocess.run([sys.executable, "-c", "import iniconfig; print(iniconfig.__file__)"], capture_output=True, text=True, check=True)  # fmt: skip
    assert Path(base.stdout.strip()).is_file()


def test_umbels_own_needs_are_kept(made: Callable[..., Environment], wheels: Path) -> None:
    """A version that Umbel cannot work with is refused, with the reason."""
    wheel(wheels, "numpy", "1.0")
    with pytest.raises(EnvironmentFailed, match="numpy"):
        made("numpy<1.26")


def test_an_unknown_version_is_explained(made: Callable[..., Environment], umbel_home: Path) -> None:
    """When there is no solution, the error has uv's reason, and nothing half made stays."""
    with pytest.raises(EnvironmentFailed, match=r"uv says:\n(.|\n)*there is no version of demo-lib==3"):
        made("demo-lib==3")
    assert left(umbel_home) == []


def test_without_uv_the_error_says_so(
    made: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where there is no uv, the error says how to get it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFailed, match=r"uv is not available on this machine.* Install uv"):
        made("demo-lib")


def test_two_processes_make_one_environment(wheels: Path, umbel_home: Path) -> None:
    """Of two processes that need the same environment at once, one makes it; the other says that it waits, and uses it."""
    command = [sys.executable, "-c", MAKE]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=LIMIT)[0].splitlines() for process in processes]
    assert sum("installing demo-lib" in lines for lines in said) == 1
    assert said[0][-1] == said[1][-1]
    assert len(left(umbel_home)) == 1


def hang(wheels: Path, tmp_path: Path) -> Path:
    """Make `slow-lib` hang when it is built; returns the FIFO that tells who does."""
    fifo = tmp_path / "told"
    os.mkfifo(fifo)
    hanging_sdist(wheels, "slow-lib", fifo)
    return fifo


def test_an_installation_can_be_called_off(wheels: Path, tmp_path: Path, umbel_home: Path) -> None:
    """When the lifeline is cut, uv and what it started are killed, and nothing half made stays."""
    fifo, lifeline, failures = hang(wheels, tmp_path), Lifeline(), []

    def make() -> None:
        with pytest.raises(EnvironmentFailed) as caught:
            prepare(["slow-lib"], allowed=True, lifeline=lifeline)
        failures.append(caught.value.message)

    thread = threading.Thread(target=make)
    thread.start()
    builder = psutil.Process(int(fifo.read_text()))
    lifeline.cut()
    thread.join(LIMIT)
    assert failures == ["The app's dependencies are not installed: the installation was cancelled."]
    wait_until_gone([builder])
    assert left(umbel_home) == []


def test_an_installation_that_takes_too_long_is_ended(wheels: Path, umbel_home: Path) -> None:
    """After the limit uv is killed, and the error says how long that was."""
    with pytest.raises(EnvironmentFailed, match=r"the installation took longer than 0.01 s"):
        prepare(["demo-lib"], allowed=True, limit=0.01)
    assert left(umbel_home) == []


def test_a_killed_process_leaves_no_other(wheels: Path, tmp_path: Path, umbel_home: Path) -> None:
    """When the process that installs is killed, uv and what it started end too, and the next one makes the environment."""
    fifo = hang(wheels, tmp_path)
    maker = subprocess.Popen([sys.executable, "-c", MAKE.replace("demo-lib", "slow-lib")], stdout=subprocess.DEVNULL)
    builder = psutil.Process(int(fifo.read_text()))
    family = [builder, *builder.parents()[:2]]
    maker.kill()
    maker.wait()
    wait_until_gone(family)
    assert not any("." not in name for name in left(umbel_home))
    (wheels / "slow_lib-1.0.tar.gz").unlink()
    wheel(wheels, "slow-lib", "1.0")
    environment = prepare(["slow-lib"], allowed=True)
    environment.close()
    assert run(environment, "import slow_lib; print(slow_lib.VERSION)") == ["1.0"]
    assert left(umbel_home) == [Path(environment.interpreter).parents[1].name]


def test_a_bad_limit_is_named(made: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch) -> None:
    """A size limit that is no number is refused with its name."""
    monkeypatch.setenv("UMBEL_ENVIRONMENTS_GIB", "much")
    with pytest.raises(ConfigError, match="UMBEL_ENVIRONMENTS_GIB=much"):
        made("demo-lib")
