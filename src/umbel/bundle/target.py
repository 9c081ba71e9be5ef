"""The rules about versions and licence: strict for bundles of format 1, next to none for format 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel.bundle.config import AppConfig
from umbel.bundle.table import Expected, Table
from umbel.errors import AppInvalid

if TYPE_CHECKING:
    from packaging.version import Version

LICENSES = ("LICENSE", "LICENSE.md")


def check_target(config: AppConfig, project: Table, app: Table) -> None:
    """Raises AppInvalid unless the version target and, in format 1, dependency and licence are as they must be.

    Format 1 asks for one dependency on `umbel` (or `flwr`) with a lower bound, a version target that is not below it,
    and `license = {file = "LICENSE"}`.
    """
    framework = config.source
    key = f"{framework}-version-target"
    expected = Expected(f"the version of {framework} the app was tried with", f'{key} = "1.0.0"')
    if config.fab_format_version == 0 and config.version_target is None:
        return
    target = _version(app.text(key, expected))
    if target is None:
        raise app.invalid(key, expected)
    if config.fab_format_version == 1:
        lower = _lower_bound(config, project)
        if target < lower:
            message = f"{app.file}: `{app.name}.{key}` is {target}, below the lower bound {lower} of the dependency."
            raise AppInvalid(message, hint=f'For example:  {key} = "{lower}"')
        license_file(project)


def license_file(project: Table) -> str:
    """The licence file that `[project]` of a format 1 app names. Raises AppInvalid if it names none."""
    expected = Expected("a table that names the licence file in the app", 'license = {file = "LICENSE"}')
    value = project.values.get("license")
    if not isinstance(value, dict) or value.get("file") not in LICENSES:
        raise project.invalid("license", expected)
    return str(value["file"])


def _lower_bound(config: AppConfig, project: Table) -> Version:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    framework = config.source
    expected = Expected(f"exactly one requirement on {framework} with >=", f'dependencies = ["{framework}>=1.0"]')
    found = []
    for line in config.dependencies:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            raise project.invalid("dependencies", expected) from None
        if canonicalize_name(requirement.name) == framework:
            found.append(requirement)
    bounds = [spec.version for requirement in found for spec in requirement.specifier if spec.operator == ">="]
    if len(found) != 1 or len(bounds) != 1:
        raise project.invalid("dependencies", expected)
    lower = _version(bounds[0])
    if lower is None:
        raise project.invalid("dependencies", expected)
    return lower


def _version(text: str) -> Version | None:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        return None
