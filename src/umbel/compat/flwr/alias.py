"""Import alias: a finder that maps `import flwr` to Umbel's modules, with errors for missing names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from umbel.compat.flwr.table import MODULES, ROOT

HOWTO = "docs/howto/coming-from-flower.md"


class MissingName(AttributeError):
    """A module of `flwr` has no such name in the alias."""

    def __init__(self, module: str, name: str, instead: str | None = None) -> None:
        """`instead` says why it is missing and what to use."""
        super().__init__(_text(f"{module}.{name}", instead), name=name)


class MissingModule(ModuleNotFoundError):
    """The alias does not have the imported module of `flwr`."""

    def __init__(self, full_name: str, instead: str | None = None) -> None:
        """`instead` says why it is missing and what to use."""
        super().__init__(_text(full_name, instead), name="flwr")  # its own name would have `from … import` swallow it


def _text(full_name: str, instead: str | None) -> str:
    reason = instead or "it is not part of Umbel's Flower alias."
    return f"`{full_name}` cannot be used: {reason} See {HOWTO}."


_displaced: dict[str, ModuleType] = {}  # what `flwr` was before, by name: an installed Flower


def install() -> None:
    """Make `import flwr` return Umbel's classes in this process, even if Flower is installed. Repeated calls have no effect."""
    if _FINDER in sys.meta_path:
        return
    _displaced.update(_take_out())
    sys.meta_path.insert(0, _FINDER)


def uninstall() -> None:
    """Undo `install` and restore the modules that it displaced. Names that an app has already imported remain valid."""
    if _FINDER not in sys.meta_path:
        return
    sys.meta_path.remove(_FINDER)
    _take_out()
    sys.modules.update(_displaced)
    _displaced.clear()


@contextmanager
def active() -> Iterator[None]:
    """Install the alias within the `with` statement and restore the earlier state afterwards."""
    if _FINDER in sys.meta_path:
        yield
        return
    install()
    try:
        yield
    finally:
        uninstall()


class AliasModule(ModuleType):
    """A module of `flwr` whose names are those of its provider in the table, imported at first access."""

    def __getattr__(self, name: str) -> Any:
        """A name of the provider, or a submodule. Raises MissingName."""
        full_name = f"{self.__name__}.{name}"
        if full_name in MODULES:
            return importlib.import_module(full_name)
        provider = importlib.import_module(MODULES[self.__name__])
        if name == "__all__":
            return list(provider.__all__)
        if name not in provider.__all__:
            raise MissingName(self.__name__, name, getattr(provider, "MISSING", {}).get(name))
        value = getattr(provider, name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        below = {name.removeprefix(f"{self.__name__}.").partition(".")[0] for name in _below(self.__name__)}
        return sorted({*super().__dir__(), *self.__all__, *below})


class _Finder(MetaPathFinder, Loader):
    """Finds and creates the modules of the table; rejects other modules of `flwr`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of an aliased module; None for a module outside `flwr`. Raises MissingModule."""
        if name.partition(".")[0] != ROOT:
            return None
        if name not in MODULES:
            parent, _, last = name.rpartition(".")
            provider = importlib.import_module(MODULES[parent])
            raise MissingModule(name, getattr(provider, "MISSING", {}).get(last))
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty module that imports its names at first access."""
        return AliasModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Does nothing: an AliasModule has no code to execute."""


_FINDER = _Finder()


def _take_out() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == ROOT}


def _below(name: str) -> list[str]:
    return [other for other in MODULES if other.startswith(f"{name}.")]
