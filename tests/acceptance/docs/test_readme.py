"""The app in the README is an app that runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tests.support.source_tree import ROOT

UMBEL = Path(sys.executable).with_name("umbel")
PYPROJECT = """
[project]
name = "readme"
version = "1.0.0"
description = "The app in the README"
license = "Apache-2.0"

[tool.umbel.app]
publisher = "umbel"

[tool.umbel.app.components]
serverapp = "readme:server"
clientapp = "readme:client"
"""


def test_the_app_of_the_readme_learns(tmp_path: Path) -> None:
    """Ten clients find the coefficients that the README's made-up data hides, and the pulled file holds them."""
    block = re.search(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert block is not None
    (tmp_path / "readme.py").write_text(block[1], encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    umbel("run", str(tmp_path), "--federation-config", "num-supernodes=10")
    umbel("pull", "last", "--output", str(tmp_path / "results"))
    (weights,) = load_file(tmp_path / "results" / "model.safetensors").values()
    np.testing.assert_allclose(weights, [1.0, -2.0, 0.5], atol=0.05)


def umbel(*arguments: str) -> None:
    """Run a command that must succeed."""
    done = subprocess.run([UMBEL, *arguments], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
