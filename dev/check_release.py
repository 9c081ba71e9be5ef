"""Check that a tag can be released: it names the package's version, and the changelog has a dated section for it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def problems(tag: str, version: str, changelog: str) -> list[str]:
    """What stands in the way of releasing `version` under `tag`."""
    found = []
    if tag != f"v{version}":
        found.append(f"The tag is {tag}, but pyproject.toml has version {version}: the tag must be v{version}.")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'.")
    return found


def main(tag: str) -> int:
    """Print the problems; the exit status is 1 if there are any."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    found = problems(tag, version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    print("\n".join(found) or f"release: {tag} is ready")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
