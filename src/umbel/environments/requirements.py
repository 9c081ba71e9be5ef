"""Requirements of apps: evaluation against this interpreter's environment, and permission to install."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from umbel.errors import AppInvalid, DependenciesMissing

OPTION = "--allow-runtime-dependency-installation"
VARIABLE = "UMBEL_ALLOW_RUNTIME_DEPENDENCY_INSTALLATION"
HELP = "install the missing dependencies of apps with uv, into a separate environment for each app"


def may_install() -> bool:
    """Whether this process may install the dependencies of apps."""
    return os.environ.get(VARIABLE, "").lower() in ("1", "true", "yes")


def allow() -> None:
    """Allow this process and its child processes to install the dependencies of apps."""
    os.environ[VARIABLE] = "1"


OURS = ("umbel", "flwr")  # always available; version requirements on them are ignored


def needed(dependencies: Iterable[str]) -> list[Requirement]:
    """The requirements whose markers apply here, without Umbel itself; `umbel[torch]` is replaced by the requirements of that extra.

    Raises AppInvalid for an invalid requirement.
    """
    found: list[Requirement] = []
    for line in dependencies:
        found += _applicable(line)
    return found


def _applicable(line: str) -> Iterable[Requirement]:
    try:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            return []
    except ValueError as error:  # also for a marker that cannot be evaluated
        raise AppInvalid(
            f"pyproject.toml: `project.dependencies` has {line!r:.120}, which is not a valid requirement: {error}".rstrip(),
            hint='Use the syntax of PEP 508, for example "numpy>=1.26".',
        ) from None
    requirement.marker = None
    if canonicalize_name(requirement.name) not in OURS:
        return [requirement]
    try:
        return of_extras(distribution(requirement.name), requirement.extras)
    except PackageNotFoundError:
        return []


def of_extras(installed: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    """The requirements that these extras add to a distribution, without their markers."""
    wanted = [{"extra": extra} for extra in extras]
    for line in (installed.requires or []) if wanted else []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}):
            continue
        if any(marker.evaluate(extra) for extra in wanted):
            requirement.marker = None
            yield requirement


def of_ours() -> list[str]:
    """The requirements of Umbel itself, which constrain every environment in which it runs."""
    lines = distribution("umbel").requires or []
    return [line for line in lines if "extra" not in str(Requirement(line).marker or "")]


_Seen = frozenset[tuple[str, frozenset[str]]]


def missing(dependencies: Iterable[str]) -> list[str]:
    """The declared requirements that this interpreter's environment does not satisfy.

    Requirements whose markers do not apply, and Umbel itself, are never missing. An installed pre-release counts; extras
    must be satisfied completely. Raises AppInvalid for an invalid requirement.
    """
    return [str(requirement) for requirement in needed(dependencies) if not _is_satisfied(requirement, frozenset())]


def check(dependencies: Iterable[str]) -> None:
    """Raise DependenciesMissing, with the unsatisfied requirements and the installed versions, or AppInvalid."""
    lacking = missing(dependencies)
    if lacking:
        raise DependenciesMissing(
            f"Unsatisfied requirements of the app: {', '.join(f'{line} ({_present(line)})' for line in lacking)}.",
            hint=f"Install what is missing next to Umbel, or have it installed for each run that needs it: {OPTION}.",
        )


def provides(dependency: str, module: str, *, is_absent: bool) -> bool:
    """Whether an unsatisfied requirement may explain a failed import of `module`.

    A module of an installed distribution is explained by that distribution only, whose version may be wrong. A module of an unknown
    package, or of a namespace package, may belong to any requirement that is not installed; a missing module of the app itself does not.
    """
    name, package = canonicalize_name(Requirement(dependency).name), module.partition(".")[0]
    if name in map(canonicalize_name, packages_distributions().get(package, ())):
        return True
    return is_absent and _version(name) is None and not _has_code(package)


def _has_code(package: str) -> bool:
    """Whether a top-level module or package exists, namespace packages excepted. Does not import it."""
    try:
        spec = find_spec(package)
    except ValueError:  # loaded, without a spec
        return True
    return spec is not None and spec.origin is not None


def _present(dependency: str) -> str:
    version = _version(Requirement(dependency).name)
    return "not installed" if version is None else f"installed: {version}"


def _version(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def _is_satisfied(requirement: Requirement, seen: _Seen) -> bool:
    place = (canonicalize_name(requirement.name), frozenset(requirement.extras))
    if place in seen:
        return True  # an extra that refers to itself: the outer call decides
    try:
        installed = distribution(requirement.name)
    except PackageNotFoundError:
        return False
    if not _fits(requirement, installed):
        return False
    return all(_is_satisfied(extra, seen | {place}) for extra in of_extras(installed, requirement.extras))


def _fits(requirement: Requirement, installed: Distribution) -> bool:
    if requirement.url is not None:
        return requirement.url in _origins(installed)
    try:
        return requirement.specifier.contains(Version(installed.version or ""), prereleases=True)
    except InvalidVersion:
        return False


def _origins(installed: Distribution) -> set[str]:
    """The URLs, in the form of a requirement, that denote the origin of an installed distribution (PEP 610)."""
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    url, vcs = origin.get("url", ""), origin.get("vcs_info", {})
    if not vcs:
        return {url}
    revisions = {vcs.get("commit_id"), vcs.get("requested_revision")} - {None}
    plain = set() if vcs.get("requested_revision") else {f"{vcs['vcs']}+{url}"}
    return plain | {f"{vcs['vcs']}+{url}@{revision}" for revision in revisions}
