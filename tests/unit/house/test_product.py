"""Rules that the product's source keeps."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from tests.support.source_tree import SRC, calls, imports, parsed

UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "builtins.eval", "builtins.exec", "numpy.fromfile"}
SLEEPS = {"sleep", "time.sleep", "asyncio.sleep", "anyio.sleep"}


def test_no_code_is_made_from_data() -> None:
    """Nothing in the product unpickles or evaluates what it received."""
    assert list(unsafe()) == []


def test_arrays_are_read_without_pickle() -> None:
    """Every `np.load` in the product refuses pickled arrays explicitly."""
    found = [
        f"{path}:{call.lineno}"
        for path, tree in parsed(SRC)
        for name, call in calls(tree)
        if name in {"np.load", "numpy.load"} and "allow_pickle=False" not in ast.unparse(call)
    ]
    assert found == []


def test_nothing_sleeps() -> None:
    """The product waits on events, never for a time to pass, and never asks again and again."""
    found = [f"{path}:{call.lineno}" for path, tree in parsed(SRC) for name, call in calls(tree) if name in SLEEPS]
    assert found == []


def test_an_app_imports_numpy_and_nothing_else() -> None:
    """What every app imports needs, when it is imported, the standard library, NumPy and the errors, and nothing more."""
    allowed = sys.stdlib_module_names | {"numpy"}
    found = [
        f"{path}:{line}: {module}"
        for path, tree in parsed(SRC / "app")
        for statement in tree.body
        for module, line in at_top(statement)
        if not module.startswith((".", "umbel.app", "umbel.errors")) and module.split(".")[0] not in allowed
    ]
    assert found == []


def at_top(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    """The modules that a top-level statement imports."""
    return imports(statement) if isinstance(statement, ast.Import | ast.ImportFrom) else iter(())


def unsafe() -> Iterator[str]:
    """Each place in the product that imports or calls what could run received data."""
    for path, tree in parsed(SRC):
        yield from (f"{path}:{line}: {name}" for name, line in imports(tree) if name.split(".")[0] in UNSAFE_MODULES)
        yield from (f"{path}:{call.lineno}: {name}" for name, call in calls(tree) if name in UNSAFE_CALLS)
