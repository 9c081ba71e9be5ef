"""Whether this interpreter has what an app declares."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from umbel.environments.permission import OPTION
from umbel.environments.requirements import needed, of_extras
from umbel.errors import DependenciesMissing

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
            f"The app needs {', '.join(lacking)}, which this machine does not have.",
            hint=f"Install it beside Umbel, or have it installed for each run that needs it: {OPTION}.",
        )


def _is_satisfied(requirement: Requirement, seen: _Seen) -> bool:
    place = (canonicalize_name(requirement.name), frozenset(requirement.extras))
    if place in seen:
        return True  # an extra that refers to itself: whoever asked first decides
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
