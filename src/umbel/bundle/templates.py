"""New apps from templates that come with Umbel: no network is needed."""

from __future__ import annotations

import keyword
import re
import sys
import tempfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from umbel.bundle.limits import is_left_out_directory
from umbel.bundle.manifest import PROJECT_NAME, PUBLISHER
from umbel.bundle.suggest import did_you_mean
from umbel.errors import Conflict, UmbelError, UsageError

TEMPLATES: dict[str, str] = {
    "numpy": "logistic regression on generated data: no framework, runs in a second",
    "sklearn": "handwritten digits with scikit-learn",
    "pytorch": "handwritten digits with a small convolutional network",
}

_SUFFIX = ".tmpl"
_PACKAGE = "package"  # the directory of a template that gets the app's own name
_LIBRARIES = {"numpy", "sklearn", "torch", "umbel", "flwr"}


def new_app(template: str, name: str, target: Path, publisher: str | None = None) -> Path:
    """Writes a complete app from `template` (one of TEMPLATES) to the directory `target` and returns it.

    `name` has a letter first, then letters, digits and hyphens; its Python package has underscores for the hyphens.
    `publisher` is by default the person's login name. Raises UsageError for a template, name or publisher that cannot
    be used and Conflict if there is anything at `target`.
    """
    if template not in TEMPLATES:
        raise UsageError(f"Unknown template `{template}`.", hint=did_you_mean(template, TEMPLATES))
    values = {**_checked_names(name, publisher), "umbel_version": _umbel_version()}
    if target.exists() or target.is_symlink():
        raise Conflict(f"{target} already exists.", hint="Choose another name, or remove it.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # The app appears whole or not at all.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-", ignore_cleanup_errors=True) as scratch:
            _render(files("umbel") / "cli" / "templates" / template, Path(scratch) / name, values)
            return (Path(scratch) / name).rename(target)
    except OSError as error:
        raise UmbelError(f"{target} cannot be written: {error.strerror}.", hint="Check its permissions.") from error


def _checked_names(name: str, publisher: str | None) -> dict[str, str]:
    if not PROJECT_NAME.fullmatch(name):
        message = (
            f"Invalid app name `{name}`: use a letter followed by letters, digits and hyphens (at most 64 characters)."
        )
        raise UsageError(message, hint="For example: my-app")
    package = name.replace("-", "_").lower()
    # An app's package is found before all others: one that is called like a library would stand in its place.
    taken = package in sys.stdlib_module_names or package in _LIBRARIES or is_left_out_directory(package)
    if taken or keyword.iskeyword(package):
        raise UsageError(f"Invalid app name: `{name}` is a reserved Python name.", hint=f"Try my-{name}.")
    if publisher is None:
        publisher = _login_name()
    elif not PUBLISHER.fullmatch(publisher):
        message = f"Invalid publisher `{publisher}`: only letters, digits, hyphens and underscores are allowed."
        raise UsageError(message, hint="For example: my-group")
    return {"name": name, "package": package, "publisher": publisher}


def _login_name() -> str:
    import getpass

    try:
        login = getpass.getuser()
    except (OSError, KeyError, ImportError):
        login = ""
    return re.sub(r"[^A-Za-z0-9_-]", "-", login).lstrip("-_")[:64] or "my-group"


def _umbel_version() -> str:
    from umbel import __version__

    return __version__


def _render(source: Traversable, target: Path, values: dict[str, str]) -> None:
    target.mkdir()
    for entry in source.iterdir():
        if entry.is_dir():
            _render(entry, target / (values["package"] if entry.name == _PACKAGE else entry.name), values)
        elif entry.name.endswith(_SUFFIX):
            text = Template(entry.read_text(encoding="utf-8")).substitute(values)
            (target / entry.name.removesuffix(_SUFFIX)).write_text(text, encoding="utf-8", newline="\n")
