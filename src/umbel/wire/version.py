"""Which versions of Umbel speak to each other: those with the same major and minor number."""

from __future__ import annotations

from umbel import __version__
from umbel.errors import VersionMismatch

HEADER = "Umbel-Version"


def fits(one: str, other: str) -> bool:
    """Whether programs of these versions understand each other."""
    return _series(one) == _series(other)


def require_fitting(theirs: str, *, ours: str = __version__) -> None:
    """Raises VersionMismatch when a client of version `theirs` is not to speak to a SuperLink of version `ours`."""
    if not fits(theirs, ours):
        series = ".".join(_series(ours))
        raise VersionMismatch(
            f"This program has version {theirs[:40]} of Umbel and the SuperLink {ours}: they do not fit together.",
            hint=f"Use version {series} here (pip install 'umbel=={series}.*'), or have the SuperLink brought to yours.",
        )


def _series(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])
