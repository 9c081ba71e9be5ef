from __future__ import annotations

import subprocess
import sys

import umbel.bundle


def loaded(statement: str) -> set[str]:
    """The top-level modules beyond the standard library that are loaded after the statement, in a new process."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) - sys.stdlib_module_names - {"__main__"}


def test_importing_costs_nothing() -> None:
    """`import umbel.bundle` loads none of its modules, and its names need only the standard library."""
    path = f"sys.path[:0] = {[str(path) for path in sys.path if path]!r}"
    assert loaded(f"{path}; import umbel.bundle") == {"umbel"}
    names = ", ".join(dir(umbel.bundle))
    assert loaded(f"{path}; from umbel.bundle import {names}") == {"umbel"}


def test_names_are_listed() -> None:
    """Every public name can be had, and another one is an AttributeError."""
    assert all(getattr(umbel.bundle, name) is not None for name in dir(umbel.bundle))
    assert not hasattr(umbel.bundle, "nothing")
