"""Eviction of unused environments."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from umbel.environments import cache
from umbel.errors import ConfigError

KIB = 1024


def made(root: Path, key: str, used_at: float) -> cache.Place:
    """Create an environment of slightly more than 1 KiB with this time of last use."""
    place = cache.Place(root, key)
    os.close(place.open_lock())
    place.making.mkdir()
    (place.making / "module.py").write_bytes(bytes(KIB))
    cache.finish(place, ["demo-lib"])
    os.utime(root / f"{key}.lock", (used_at, used_at))
    return place


def left(root: Path) -> list[str]:
    """The names in the directory, except locks."""
    return sorted(path.name for path in root.iterdir() if path.suffix != ".lock")


def test_an_environment_knows_its_size(tmp_path: Path) -> None:
    """A completed build is moved into place with a record of its size."""
    place = made(tmp_path, "a", 1.0)
    assert place.size() == KIB
    assert left(tmp_path) == ["a"]


def test_the_least_recently_used_environment_is_evicted(tmp_path: Path) -> None:
    """Beyond the limit, the least recently used environments go first."""
    for key, used_at in (("a", 2.0), ("b", 1.0), ("c", 3.0)):
        made(tmp_path, key, used_at)
    cache.shrink(tmp_path, 3 * KIB)
    assert left(tmp_path) == ["a", "b", "c"]
    cache.shrink(tmp_path, 2 * KIB)
    assert left(tmp_path) == ["a", "c"]
    cache.shrink(tmp_path, 0)
    assert left(tmp_path) == []


def test_an_environment_in_use_is_not_evicted(tmp_path: Path) -> None:
    """An environment whose lock is held is never removed."""
    lock = made(tmp_path, "a", 1.0).open_lock()
    fcntl.flock(lock, fcntl.LOCK_SH)
    cache.shrink(tmp_path, 0)
    assert left(tmp_path) == ["a"]
    os.close(lock)
    cache.shrink(tmp_path, 0)
    assert left(tmp_path) == []


def test_incomplete_builds_are_removed(tmp_path: Path) -> None:
    """The remains of a process that died are removed; a build in progress is not."""
    for key in ("a", "b"):
        place = cache.Place(tmp_path, key)
        os.close(place.open_lock())
        place.making.mkdir()
    lock = cache.Place(tmp_path, "b").open_lock()
    fcntl.flock(lock, fcntl.LOCK_EX)
    cache.shrink(tmp_path, KIB)
    os.close(lock)
    assert left(tmp_path) == ["b.making"]


def test_taking_the_lock_counts_as_use(tmp_path: Path) -> None:
    """Opening the lock updates the time of last use."""
    place = made(tmp_path, "a", 1.0)
    os.close(place.open_lock())
    assert place.last_used() > 1.0


def test_the_limit_is_a_number_of_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is 20 GiB unless the environment variable is set; an invalid value is rejected."""
    assert cache.limit() == 20 * KIB**3
    monkeypatch.setenv("UMBEL_ENVIRONMENTS_GIB", "0.5")
    assert cache.limit() == KIB**3 // 2
    for bad in ("much", "-1", "nan"):
        monkeypatch.setenv("UMBEL_ENVIRONMENTS_GIB", bad)
        with pytest.raises(ConfigError, match=f"UMBEL_ENVIRONMENTS_GIB={bad}"):
            cache.limit()
