"""The quickstarts do what their READMEs say."""

from __future__ import annotations

import pytest

from tests.acceptance.examples.conftest import Import, Run, data_file

pytestmark = pytest.mark.timeout(300)


def test_quickstart_numpy_learns_the_flowers(run_app: Run) -> None:
    """Five clients reach 96 % on the test flowers, as much as the same steps on all data in one place."""
    ended = run_app("examples/quickstart-numpy")
    assert ended["rounds"] == 20
    assert ended["metrics"]["server"]["accuracy"] > 0.96
    assert ended["metrics"]["evaluate"]["accuracy"] > 0.93


def test_quickstart_sklearn_comes_near_pooled_data(run_app: Run, import_from: Import) -> None:
    """Ten clients end within two points of the same model trained as long on all data in one place."""
    ended = run_app("examples/quickstart-sklearn")
    task = import_from("examples/quickstart-sklearn", "quickstart_sklearn.task")
    x_train, x_test, y_train, y_test = task.load_data()
    pooled_weights = task.train(task.initial_weights(), x_train, y_train, epochs=50, learning_rate=0.1)
    pooled = task.evaluate(pooled_weights, x_test, y_test)["accuracy"]
    assert pooled > 0.95
    assert ended["rounds"] == 10
    assert abs(ended["metrics"]["server"]["accuracy"] - pooled) < 0.02
    assert ended["metrics"]["evaluate"]["accuracy"] > 0.9


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.torch
@pytest.mark.parametrize(("dataset", "accuracy"), [("mnist", 0.9), ("fashion-mnist", 0.7)])
def test_quickstart_pytorch_learns(run_app: Run, dataset: str, accuracy: float) -> None:
    """Five rounds with ten of fifty uneven clients teach the network most of the classes."""
    data_file(dataset)
    ended = run_app("examples/quickstart-pytorch", "-c", f'dataset="{dataset}"')
    assert ended["metrics"]["server"]["accuracy"] > accuracy


@pytest.mark.slow
@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("framework", "rounds", "accuracy"),
    [("jax", 8, 0.85), ("tensorflow", 2, 0.8), ("huggingface", 6, 0.6), ("lightning", 5, 0.75)],
)
def test_quickstarts_of_other_frameworks_learn(run_app: Run, framework: str, rounds: int, accuracy: float) -> None:
    """A few rounds with five clients teach the model most of the digits."""
    options = ["-c", f"num-server-rounds={rounds}", "--federation-config", "num-supernodes=5"]
    ended = run_app(f"examples/quickstart-{framework}", *options)
    assert ended["rounds"] == rounds
    assert ended["metrics"]["server"]["accuracy"] > accuracy
