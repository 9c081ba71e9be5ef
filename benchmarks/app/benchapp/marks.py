"""Timestamps that the benchmark app writes."""

from __future__ import annotations

import json
import time
from pathlib import Path


class Marks:
    """Appends one JSON line for each thing that happened: `{"what", "round", "ns", ...}`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, what: str, number: int = 0, **details: float) -> None:
        """Write one mark; `ns` is the system's wall clock, which the runner reads too."""
        line = json.dumps({"what": what, "round": number, "ns": time.time_ns(), **details})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
