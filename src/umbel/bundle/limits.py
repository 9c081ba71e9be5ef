"""Limits and rules of bundle contents."""

from __future__ import annotations

SUFFIXES = (".py", ".toml", ".md", ".yaml", ".yml", ".json", ".jsonl")
KINDS = "*.py, *.toml, *.md, *.yaml, *.yml, *.json, *.jsonl and LICENSE"

MANIFEST = ".info/CONTENT"
MAX_FAB_BYTES = 32 * 1024 * 1024  # of the ZIP
MAX_TOTAL_BYTES = 64 * 1024 * 1024  # of all files, unpacked
MAX_FILE_BYTES = 32 * 1024 * 1024  # of one file, unpacked
MAX_FILES = 5000
MAX_RATIO = 200  # unpacked to packed bytes of one file, from RATIO_FROM_BYTES on
RATIO_FROM_BYTES = 1024 * 1024

_NEVER_ANYWHERE = {".flwr", ".umbel", ".git", "__pycache__"}
_NEVER_AT_TOP = {
    ".info",
    "build",
    "eggs",
    ".eggs",
    "lib",
    "lib64",
    "parts",
    ".venv",
    "env",
    "venv",
    "ENV",
    "env.bak",
    "venv.bak",
}


def is_allowed_kind(path: str) -> bool:
    """Whether a bundle may hold a file of this name's kind."""
    return path.endswith(SUFFIXES) or path == "LICENSE"


def is_left_out_directory(path: str) -> bool:
    """Whether the directory `path` (relative to the app) is never in a bundle: environments, caches, build results."""
    name = path.rpartition("/")[2]
    return name in _NEVER_ANYWHERE or path in _NEVER_AT_TOP or name.endswith(".egg")


def is_left_out_file(path: str) -> bool:
    """Whether the file `path` is never in a bundle: tests, and a pyproject.toml below the top."""
    name = path.rpartition("/")[2]
    return name == "pyproject.toml" or name.endswith("_test.py") or (name.startswith("test_") and name.endswith(".py"))
