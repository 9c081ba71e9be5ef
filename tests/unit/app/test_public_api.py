"""Public names of the packages that app authors import: complete, annotated and documented."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES: dict[str, list[str]] = json.loads((Path(__file__).parent / "public_names.json").read_text(encoding="utf-8"))


def public_names(module_name: str) -> list[str]:
    """The names in `__all__`; without it, those of the classes and functions that the module defines."""
    module = importlib.import_module(module_name)
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module_name
    )


def functions(value: Any) -> Iterator[Any]:
    """The function itself, or the public methods and the constructor that a class defines."""
    if inspect.isfunction(value):
        yield value
    elif inspect.isclass(value):
        for name, member in vars(value).items():
            function = getattr(member, "__func__", member)
            if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
                yield function


def unannotated(function: Any) -> list[str]:
    """The parameters without annotations, and "return" if the return value has none."""
    signature = inspect.signature(function)
    missing = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.annotation is inspect.Parameter.empty and name not in {"self", "cls"}
    ]
    return missing + ["return"] * (signature.return_annotation is inspect.Signature.empty)


@pytest.mark.parametrize("module_name", NAMES)
def test_public_names_are_the_listed_ones(module_name: str) -> None:
    """A public name is neither removed nor added without a change of the list."""
    assert public_names(module_name) == NAMES[module_name]


@pytest.mark.parametrize("module_name", NAMES)
def test_public_names_are_annotated_and_documented(module_name: str) -> None:
    """Classes, functions and public methods have docstrings, and annotations for all parameters and return values."""
    module = importlib.import_module(module_name)
    values = {name: getattr(module, name) for name in NAMES[module_name]}
    defined = {name: value for name, value in values.items() if getattr(value, "__module__", "").startswith("umbel.")}
    undocumented = [name for name, value in defined.items() if not inspect.getdoc(value)]
    incomplete = {
        function.__qualname__: missing
        for value in defined.values()
        for function in functions(value)
        if "<locals>" not in function.__qualname__ and not function.__qualname__.startswith("__create_fn__")
        if (missing := unannotated(function))
    }
    assert (undocumented, incomplete) == ([], {})
