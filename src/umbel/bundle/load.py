"""Reads and validates an app's pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from umbel.bundle.config import AppConfig, Config, Source, flatten
from umbel.bundle.manifest import COMPONENT, PROJECT_NAME, PUBLISHER
from umbel.bundle.target import check_target, federation_of_legacy
from umbel.bundle.toml_reader import Expected, Table
from umbel.errors import AppInvalid, ConfigError

PYPROJECT = "pyproject.toml"

_NAME = Expected("a letter followed by letters, digits and hyphens (at most 64 characters)", 'name = "my-app"')
_PUBLISHER = Expected("letters, digits, hyphens and underscores (at most 64 characters)", 'publisher = "my-group"')
_VERSION = Expected("a version such as 1.0.0 (PEP 440)", 'version = "1.0.0"')
_DEPENDENCIES = Expected("a list of requirements", 'dependencies = ["umbel>=0.1"]')
_PATTERNS = Expected("a non-empty list of patterns as in a .gitignore", '["data/*.json"]')
_FORMAT = Expected("0 or 1", "fab-format-version = 1")
_COMPONENTS = {
    "serverapp": Expected('"module:attribute"', 'serverapp = "my_app.server_app:app"'),
    "clientapp": Expected('"module:attribute"', 'clientapp = "my_app.client_app:app"'),
}
_KEYS = (
    "publisher",
    "components",
    "config",
    "federation",
    "fab-include",
    "fab-exclude",
    "fab-format-version",
    "umbel-version-target",
    "flwr-version-target",
)


def load_app(path: Path) -> AppConfig:
    """The description of the app in the directory `path`.

    Reads `[project]` and `[tool.umbel.app]`, or `[tool.flwr.app]` where the former is absent. Raises AppInvalid, with
    file, key, what is expected and an example, if the file is missing or not valid.
    """
    file = path / PYPROJECT
    try:
        raw = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        hint = "Pass the directory of an app, or create one with `umbel new`."
        raise AppInvalid(f"{path} is not an app: it has no {PYPROJECT}.", hint=hint) from None
    except OSError as error:
        raise AppInvalid(f"{file} cannot be read: {error.strerror}.") from error
    return parse_app(raw, str(file))


def parse_app(raw: bytes, file: str = PYPROJECT) -> AppConfig:
    """The description in the bytes of a pyproject.toml; `file` is what errors call it. Raises AppInvalid."""
    document = Table(file, "", parse_toml(raw, file))
    project = document.table("project")
    source, app = _app_table(document)
    warnings = _refuse_unknown(app, source) + _recommended(project)
    federation = _flat(app.table("federation"))
    if source == "flwr" and not federation:
        federation = federation_of_legacy(document.table("tool").table("flwr").table("federations"), warnings)
    components = app.table("components")
    _warn_unknown(components, _COMPONENTS, source, warnings)
    config = AppConfig(
        publisher=_matching(app, "publisher", _PUBLISHER, PUBLISHER),
        name=_matching(project, "name", _NAME, PROJECT_NAME),
        version=_version(project),
        serverapp=_matching(components, "serverapp", _COMPONENTS["serverapp"], COMPONENT),
        clientapp=_matching(components, "clientapp", _COMPONENTS["clientapp"], COMPONENT),
        source=source,
        description=str(project.values.get("description", "")),
        config=_flat(app.table("config")),
        federation=federation,
        dependencies=project.texts("dependencies", _DEPENDENCIES, may_be_empty=True),
        fab_format_version=_format(app),
        version_target=app.optional_text(f"{source}-version-target", _target_expected(source)),
        include=app.texts("fab-include", _PATTERNS),
        exclude=app.texts("fab-exclude", _PATTERNS),
        warnings=warnings,
    )
    check_target(config, project, app)
    return config


def parse_toml(raw: bytes, file: str) -> dict[str, Any]:
    """The TOML in `raw`. Raises AppInvalid with the line of the first mistake."""
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise AppInvalid(f"{file} is not UTF-8 text (line {line}).", hint="Save it as UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise AppInvalid(f"{file} is not valid TOML: {error}.", hint="Correct that line.") from None


def _app_table(document: Table) -> tuple[Source, Table]:
    tool = document.table("tool")
    if "app" in tool.table("umbel").values:
        return "umbel", tool.table("umbel").table("app")
    if "app" in tool.table("flwr").values:
        return "flwr", tool.table("flwr").table("app")
    message = f"{document.file}: the table [tool.umbel.app], which declares the app's components, is missing."
    raise AppInvalid(message, hint="Create a complete example with `umbel new my-app`.")


def _refuse_unknown(app: Table, source: Source) -> list[str]:
    warnings: list[str] = []
    _warn_unknown(app, _KEYS, source, warnings)
    return warnings


def _warn_unknown(table: Table, known: Any, source: Source, warnings: list[str]) -> None:
    """An unknown key in our own table is a mistake; in the other's it may be newer than we are."""
    unknown = table.unknown(known)
    if unknown and source == "umbel":
        raise AppInvalid(" ".join(unknown.values()))
    warnings.extend(unknown.values())


def _recommended(project: Table) -> list[str]:
    return [
        f"{project.file}: `project.{key}` is missing; it helps people who find this app."
        for key in ("description", "license")
        if not project.values.get(key)
    ]


def _matching(table: Table, key: str, expected: Expected, pattern: re.Pattern[str]) -> str:
    value = table.text(key, expected)
    if not pattern.fullmatch(value):
        raise table.invalid(key, expected)
    return value


def _version(project: Table) -> str:
    from packaging.version import InvalidVersion, Version

    if "version" in project.values.get("dynamic", []):
        message = f"{project.file}: `project.version` is dynamic, but an app bundle needs a static version."
        raise AppInvalid(message, hint=f"For example, under [project]:  {_VERSION.example}")
    version = project.text("version", _VERSION)
    try:
        Version(version)
    except InvalidVersion:
        raise project.invalid("version", _VERSION) from None
    if len(version) > 64 or version != version.strip():
        raise project.invalid("version", _VERSION)
    return version


def _flat(table: Table) -> Config:
    try:
        return flatten(table.values)
    except ConfigError as error:
        raise AppInvalid(f"{table.file}: in [{table.name}], {error.message}", hint=error.hint) from None


def _format(app: Table) -> int:
    value = app.values.get("fab-format-version", 0)
    if isinstance(value, bool) or value not in (0, 1):
        raise app.invalid("fab-format-version", _FORMAT)
    return int(value)


def _target_expected(source: Source) -> Expected:
    return Expected(f"the version of {source} that the app was tested with", f'{source}-version-target = "1.0.0"')
