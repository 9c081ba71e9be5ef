"""Loads an app's component, the object that pyproject.toml names as `module:attribute`."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

from umbel.compat import flwr
from umbel.errors import AppInvalid, AppLoadError, DependenciesMissing


def load_component(app_dir: Path | str, reference: str) -> Any:
    """The object named `reference`, imported from `app_dir`. Raises AppLoadError, with the app's own traceback, when that fails.

    An app that imports `flwr` gets Umbel's own classes: see `umbel.compat.flwr`.
    """
    flwr.install()
    module_name, _, attribute = reference.partition(":")
    directory = str(app_dir)
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise AppLoadError(
            f"The module {module_name!r} could not be imported: {type(error).__name__}: {error}.",
            hint=_unsatisfied(Path(app_dir), error) or _hint(error),
            traceback=app_traceback(error),
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise AppLoadError(
            f"The module {module_name!r} has no attribute {attribute!r}.",
            hint="Correct the component in pyproject.toml, or define it in the module.",
        ) from None


def _hint(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return "Fix the import, or install the missing package next to Umbel."
    return "Fix the error that the traceback shows."


def _unsatisfied(app_dir: Path, error: BaseException) -> str | None:
    """The app's unsatisfied requirements, with the remedy, if one of them explains the failed import; else None."""
    from umbel.bundle import load_app
    from umbel.environments.requirements import check, missing, provides

    if not isinstance(error, ImportError) or not error.name:
        return None
    is_absent = isinstance(error, ModuleNotFoundError)
    try:
        lacking = [
            line for line in missing(load_app(app_dir).dependencies) if provides(line, error.name, is_absent=is_absent)
        ]
        check(lacking)
    except DependenciesMissing as unsatisfied:
        return str(unsatisfied)
    except AppInvalid:
        pass
    return None


def app_traceback(error: BaseException) -> str:
    """The traceback of `error` as text, from the app's first line on: what Umbel and the import system did before is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parent.parent)
    importing = (own, "<frozen", importlib.__file__)
    lines = traceback.format_list(
        [frame for frame in frames if not frame.filename.startswith(importing)]
    ) + traceback.format_exception_only(error)
    return "".join(["Traceback (most recent call last):\n", *lines]).rstrip()
