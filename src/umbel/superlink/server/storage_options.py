"""Options for the database, the object store and the log."""

from __future__ import annotations

import argparse
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from umbel.errors import ConfigError

DATABASE = "UMBEL_DATABASE"


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """The options. What is None lies in the home."""

    database: str | None = field(default=None, repr=False)  # may hold a password
    object_store: Path | None = None
    log_file: Path | None = None  # None: stderr
    log_rotation_interval_hours: int = 24
    log_rotation_backup_count: int = 7


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a command line."""
    group = parser.add_argument_group("what is kept")
    group.add_argument("--database", metavar="URL", help=_DATABASE)
    group.add_argument("--object-store", type=Path, metavar="DIR", help=_OBJECTS)
    group.add_argument("--log-file", type=Path, metavar="FILE", help="write the log to this file instead of stderr")
    group.add_argument("--log-rotation-interval-hours", type=int, default=24, metavar="N", help=_INTERVAL)
    group.add_argument("--log-rotation-backup-count", type=int, default=7, metavar="N", help=_BACKUPS)


_DATABASE = f"sqlite:////PATH or postgresql+psycopg://USER@HOST/NAME; default: {DATABASE}, else a file in the home"
_OBJECTS = "directory for objects, shared by all SuperLinks on one database; default: inside the home"
_INTERVAL = "start a new log file every N hours (UTC)"
_BACKUPS = "keep the last N log files"


def take_options(options: dict[str, Any], environment: MutableMapping[str, str]) -> StorageOptions:
    """The options, taken out of a parsed command line. Raises ConfigError.

    The environment's database is taken out too: it may hold a password, and the processes started later need none.
    """
    values = {name: options.pop(name) for name in StorageOptions.__slots__}
    from_environment = environment.pop(DATABASE, None)
    kept = StorageOptions(**values | {"database": values["database"] or from_environment or None})
    for name in ("log_rotation_interval_hours", "log_rotation_backup_count"):
        if getattr(kept, name) < 1:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least 1.")
    return kept
