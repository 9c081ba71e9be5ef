"""The seed of a run decides its model, in every template."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.examples.conftest import UMBEL

Pull = Callable[[], Path]


def model(app: Path, folder: Path, seed: int) -> str:
    """The digest of the model of a short run."""
    options = ["--seed", str(seed), "-c", "num-server-rounds=2", "--federation-config", "num-supernodes=3"]
    for command in (["run", str(app), *options], ["pull", "last", "--output", str(folder)]):
        done = subprocess.run([*UMBEL, *command], cwd=app, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("template", ["numpy", "sklearn", pytest.param("pytorch", marks=pytest.mark.torch)])
def test_a_seed_decides_the_model_of_a_template(template: str, tmp_path: Path) -> None:
    """One seed gives the same model twice, another seed another model."""
    subprocess.run([*UMBEL, "new", "lab", "--template", template], cwd=tmp_path, capture_output=True, check=True)
    first, again, other = (model(tmp_path / "lab", tmp_path / str(n), seed) for n, seed in enumerate((1, 1, 2)))
    assert first == again
    assert first != other
