"""`run_simulation`, in the caller's own process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.errors import AppLoadError, NotEnoughNodes, ResourcesMissing
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg
from umbel.simulation import run_simulation
from umbel.simulation.settings import SimulationSettings

PYPROJECT = """
[project]
name = "small"
version = "1.0.0"
license = "Apache-2.0"

[tool.umbel.app]
publisher = "me"

[tool.umbel.app.components]
serverapp = "{module}:server"
clientapp = "{client}:client"

[tool.umbel.app.config]
rounds = 2
fail = ""

[tool.umbel.app.federation]
num-supernodes = 3
max-workers = 2
"""
server, client = ServerApp(), ClientApp()


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Average; fail where told to."""

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        if server_round == 1 and context.run_config.get("fail") == "server":
            raise ZeroDivisionError("in round 1")
        return MetricRecord({"first": float(arrays.to_numpy_ndarrays()[0][0])})

    rounds = int(context.run_config.get("rounds", 2))
    FedAvg(fraction_evaluate=0.0).start(grid, ArrayRecord([np.zeros(2)]), rounds, evaluate_fn=evaluate)


@client.train()
def train(msg: Message, context: Context) -> Message:
    """Add the partition's number."""
    part = float(context.node_config["partition-id"])
    print("training", int(part))
    arrays = [array + part for array in msg.content.array_records["arrays"].to_numpy_ndarrays()]
    metrics = MetricRecord({"num-examples": 1, "part": part})
    return Message(RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=msg)


def small_app(folder: Path, client: str | None = None) -> Path:
    """The app of this file, in its own directory and under its own name."""
    module = f"small_{folder.name.replace('-', '_')}"
    (folder / "pyproject.toml").write_text(PYPROJECT.format(module=module, client=client or module))
    (folder / f"{module}.py").write_text(Path(__file__).read_text())
    return folder


def workers() -> list[psutil.Process]:
    """The worker processes of this process."""
    return [child for child in psutil.Process().children() if "umbel.engine.worker" in child.cmdline()]


def test_a_pair_of_apps_runs_inline() -> None:
    """Everything that the run said and left is in the result."""
    result = run_simulation((server, client), settings=SimulationSettings(3))
    assert result.arrays.to_numpy_ndarrays()[0].tolist() == [2.0, 2.0]
    assert result.series("first") == {0: 0.0, 1: 1.0, 2: 2.0}
    assert result.series("part", "train") == {1: 1.0, 2: 1.0}
    assert result.series("nothing") == {}
    assert (1, "train", 4, "part", 2.0) in result.metrics
    kinds = [kind for kind, _ in result.events]
    assert kinds == ["round-started", "round-finished"] * 2


def test_a_directory_runs_with_workers(tmp_path: Path) -> None:
    """The app's own settings and config hold; overrides change them; what clients print is kept; no worker is left."""
    result = run_simulation(small_app(tmp_path), run_config={"rounds": 1})
    assert result.series("first") == {0: 0.0, 1: 1.0}
    assert sorted(result.logs) == ["training 0", "training 1", "training 2"]
    assert workers() == []
    inline = run_simulation(tmp_path, run_config={"rounds": 1}, settings=SimulationSettings(3, backend="inline"))
    assert inline.arrays == result.arrays


def test_what_the_serverapp_raises_is_raised(tmp_path: Path) -> None:
    """By a pair, and by a directory, whose workers are gone then."""
    with pytest.raises(ZeroDivisionError, match="in round 1"):
        run_simulation((server, client), run_config={"fail": "server"})
    with pytest.raises(ZeroDivisionError, match="in round 1"):
        run_simulation(small_app(tmp_path), run_config={"fail": "server"})
    assert workers() == []


def test_a_component_that_is_not_there_is_raised(tmp_path: Path) -> None:
    """The ClientApp's module is missed by its workers, which are gone then."""
    with pytest.raises(AppLoadError, match="nowhere"):
        run_simulation(small_app(tmp_path, client="nowhere"))
    assert workers() == []


def test_what_the_machine_does_not_have_is_raised(tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(ResourcesMissing):
        run_simulation(small_app(tmp_path), settings=SimulationSettings(num_cpus=10_000))


def test_without_a_model_there_are_no_arrays() -> None:
    """A ServerApp need not keep one."""

    def nothing(grid: Grid, context: Context) -> None:
        grid.wait_for_nodes(3)

    result = run_simulation((nothing, client), settings=SimulationSettings(3))
    with pytest.raises(KeyError):
        _ = result.arrays
    with pytest.raises(NotEnoughNodes):
        run_simulation((nothing, client), settings=SimulationSettings(2))
