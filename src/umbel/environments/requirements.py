"""Requirements of apps: whether an environment satisfies them, and whether they may be installed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from umbel.errors import AppInvalid, DependenciesMissing

OPTION = "--allow-runtime-dependency-installation"
VARIABLE = "UMBEL_ALLOW_RUNTIME_DEPENDENCY_INSTALLATION"
HELP = "install the missing dependencies of apps with uv, into a separate environment for each app"


def may_install() -> bool:
    """Whether this process may install what apps declare."""
    return os.environ.get(VARIABLE, "").lower() in ("1", "true", "yes")


def allow() -> None:
    """This process and its children may."""
    os.environ[VARIABLE] = "1"


OURS = ("umbel", "flwr")  # always available, whatever version the app was written for


def needed(dependencies: Iterable[str]) -> list[Requirement]:
    """The requirements that apply here, without Umbel itself; of `umbel[torch]` there remains what that extra asks for.

    Raises AppInvalid for a line that is no requirement.
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
    except ValueError as error:  # also of a marker that cannot be evaluated
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
    """What a distribution requires for these extras and not without them, unconditionally."""
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
    """The versions that Umbel itself can work with: lines that constrain every environment it has to run in."""
    lines = distribution("umbel").requires or []
    return [line for line in lines if "extra" not in str(Requirement(line).marker or "")]


_Seen = frozenset[tuple[str, frozenset[str]]]


def missing(dependencies: Iterable[str]) -> list[str]:
    """Those of the declared requirements that this interpreter's environment does not satisfy.

    What applies elsewhere only (markers) is not missing, nor is Umbel itself; an installed pre-release counts, and of
    extras all that they ask for. Raises AppInvalid for a line that is no requirement.
    """
    return [str(requirement) for requirement in needed(dependencies) if not _is_satisfied(requirement, frozenset())]


def check(dependencies: Iterable[str]) -> None:
    """Raise DependenciesMissing, which names what is missing, or AppInvalid, unless everything declared is there."""
    lacking = missing(dependencies)
    if lacking:
        raise DependenciesMissing(
            f"Unsatisfied requirements of the app: {', '.join(f'{line} ({_present(line)})' for line in lacking)}.",
            hint=f"Install what is missing next to Umbel, or have it installed for each run that needs it: {OPTION}.",
        )


def provides(dependency: str, module: str, *, is_absent: bool) -> bool:
    """Whether a requirement may be what a failed import of `module` lacks.

    An absent module may come from any requirement that is not installed; a module that is there belongs to known distributions.
    """
    name = canonicalize_name(Requirement(dependency).name)
    if is_absent:
        return _version(name) is None
    return name in map(canonicalize_name, packages_distributions().get(module.partition(".")[0], ()))


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
        return True  # an extra that refers to itself: the first request decides
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
    """The URLs, as a requirement writes them, that stand for where a distribution was installed from (PEP 610)."""
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    url, vcs = origin.get("url", ""), origin.get("vcs_info", {})
    if not vcs:
        return {url}
    revisions = {vcs.get("commit_id"), vcs.get("requested_revision")} - {None}
    plain = set() if vcs.get("requested_revision") else {f"{vcs['vcs']}+{url}"}
    return plain | {f"{vcs['vcs']}+{url}@{revision}" for revision in revisions}
