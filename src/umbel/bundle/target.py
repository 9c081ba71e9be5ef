"""Target versions and bundles of earlier formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel.bundle.config import AppConfig, Config, flatten
from umbel.bundle.toml_reader import Expected, Table
from umbel.errors import AppInvalid, ConfigError

if TYPE_CHECKING:
    from packaging.version import Version


_SETTINGS = {
    "num-supernodes": "num-supernodes",
    "verbose": "verbose",
    "backend.name": "backend-name",
    "backend.client-resources.num-cpus": "client-resources-num-cpus",
    "backend.client-resources.num-gpus": "client-resources-num-gpus",
    "backend.init-args.num-cpus": "init-args-num-cpus",
    "backend.init-args.num-gpus": "init-args-num-gpus",
    "backend.init-args.logging-level": "init-args-logging-level",
    "backend.init-args.log-to-driver": "init-args-log-to-driver",
}


def federation_of_legacy(federations: Table, warnings: list[str]) -> Config:
    """The settings of the default federation of the table, with keys such as `num-supernodes`.

    A line is added to `warnings` if there is such a table. What it says beyond simulation settings is not used.
    """
    if not federations.values:
        return {}
    warnings.append(
        f"{federations.file}: [{federations.name}] is deprecated; only its simulation settings are used. "
        "Move them to [tool.umbel.app.federation] or pass them with --federation-config."
    )
    default = federations.values.get("default")
    chosen = federations.values.get(default) if isinstance(default, str) else None
    options = chosen.get("options") if isinstance(chosen, dict) else None
    if not isinstance(options, dict):
        return {}
    try:
        flat = flatten(options)
    except ConfigError as error:
        warnings.append(f"{federations.file}: [{federations.name}.{default}] is ignored: {error.message}")
        return {}
    return {_SETTINGS[key]: value for key, value in flat.items() if key in _SETTINGS}


LICENSES = ("LICENSE", "LICENSE.md")


def check_target(config: AppConfig, project: Table, app: Table) -> None:
    """Raises AppInvalid unless the version target and, in format 1, dependency and licence are as they must be.

    Format 1 asks for one dependency on `umbel` (or `flwr`) with a lower bound, a version target that is not below it,
    and `license = {file = "LICENSE"}`.
    """
    framework = config.source
    key = f"{framework}-version-target"
    expected = Expected(f"the version of {framework} that the app was tested with", f'{key} = "1.0.0"')
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
