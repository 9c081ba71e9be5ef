"""Draw the README's picture of a run in a terminal: docs/_static/pictures/terminal-run.svg, from a real run."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "_static" / "pictures" / "terminal-run.svg"
COMMANDS = (["run", "examples/quickstart-sklearn"], ["pull", "last", "--output", "results"])


def main() -> None:
    """Run the commands and write the picture."""
    console = Console(record=True, width=140, file=sys.stderr, force_terminal=True)
    with tempfile.TemporaryDirectory() as home:
        for arguments in COMMANDS:
            console.print(Text("$ ", style="bold green") + Text(f"umbel {' '.join(arguments)}", style="bold"))
            command = [str(ROOT / ".venv" / "bin" / "umbel"), *arguments]
            command = [str(ROOT / word) if word.startswith("examples/") else word for word in command]
            environment = {"UMBEL_HOME": home, "PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin", "COLUMNS": "140"}
            done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=True)
            for line in (done.stdout + done.stderr).splitlines():
                console.print(Text.from_ansi(line.replace(home, "~")), soft_wrap=True)
    svg = console.export_svg(title="umbel", unique_id="run")
    TARGET.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))  # fonts from elsewhere stay out


if __name__ == "__main__":
    main()
