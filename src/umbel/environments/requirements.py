"""What an app's declared dependencies ask of this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from umbel.errors import AppInvalid

OURS = ("umbel", "flwr")  # whoever runs the app has these, whatever version the app was written for


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
            f"pyproject.toml: `project.dependencies` has {line!r:.120}, which is not a requirement: {error}".rstrip(),
            hint='Write each as PEP 508 has it, for example "numpy>=1.26".',
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
