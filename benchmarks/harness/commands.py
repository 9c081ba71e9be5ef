"""Run a product's command to its end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TIMEOUT = 600.0  # seconds for one run


def failure(command: Sequence[str], variables: Mapping[str, str], folder: Path, output: Path) -> str | None:
    """Why the command failed in `folder`, None when it did not; what it prints goes to `output`."""
    with output.open("wb") as file:
        try:
            done = subprocess.run(
                command,
                env=variables,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"not finished after {TIMEOUT:.0f} s"
    return f"exit status {done.returncode}" if done.returncode else None


def read_marks(path: Path) -> list[dict[str, Any]]:
    """What the app wrote, in order; empty if it never started."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
