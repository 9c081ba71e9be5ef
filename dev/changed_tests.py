"""The test folders for what a branch changes.

Prints, one a line, the folders with the tests of each package that differs from `main` and of the packages that import it, directly or
not. A change to what all tests share selects every folder.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
SHARED = ("tests/support/", "tests/conftest.py", "pyproject.toml", "src/umbel/__init__.py")
ALWAYS = "tests/unit/house"
# Folders that are not named for the packages they test.
MORE = {
    "superlink": ["tests/conformance"],
    "compat": ["tests/compat"],
    "serverapp": ["tests/integration/strategies"],
    "privacy": ["tests/integration/strategies"],
}


def changed_files(base: str) -> list[str]:
    """The files that differ from the point where this branch left `base`, committed or not."""
    fork = _git("merge-base", base, "HEAD")[0]
    return [*_git("diff", "--name-only", fork), *_git("ls-files", "--others", "--exclude-standard")]


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def with_dependants(packages: set[str]) -> set[str]:
    """The packages, and all that import them, directly or not."""
    graph = grimp.build_graph("umbel", exclude_type_checking_imports=True)
    found = set(packages)
    for package in packages & {name.split(".")[1] for name in graph.modules if "." in name}:
        importers = graph.find_downstream_modules(f"umbel.{package}", as_package=True)
        found |= {name.split(".")[1] for name in importers if "." in name}
    return found


def folders_of(files: Iterable[str]) -> list[str]:
    """The folders with the tests for changes to these files."""
    files = list(files)
    if any(file.startswith(SHARED) for file in files):
        return ["tests"]
    packages = {Path(file).parts[2].removesuffix(".py") for file in files if file.startswith("src/umbel/")}
    folders = {ALWAYS}
    for package in with_dependants(packages) if packages else set():
        folders |= {f"tests/unit/{package}", f"tests/integration/{package}", *MORE.get(package, [])}
    for file in files:
        parts = Path(file).parts
        if parts[0] == "tests" and parts[1] in {"unit", "integration"}:
            folders.add("/".join(parts[:3]))
        elif parts[0] == "tests":
            folders.add("/".join(parts[:2]))
    return sorted(folder for folder in folders if (ROOT / folder).is_dir())


if __name__ == "__main__":
    print(*folders_of(changed_files(sys.argv[1] if len(sys.argv) > 1 else "main")), sep="\n")
