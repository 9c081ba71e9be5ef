"""`flwr.common.logger`: the logger `flwr`, which writes to the run's log."""

from __future__ import annotations

import logging

LOGGER_NAME = "flwr"
FLOWER_LOGGER = logging.getLogger(LOGGER_NAME)
logger = FLOWER_LOGGER
log = FLOWER_LOGGER.log


def configure(identifier: str, filename: str | None = None, host: str | None = None) -> None:
    """Additionally write to `filename`, each line with `identifier`. Raises ValueError for a `host`: nothing is sent elsewhere."""
    if host is not None:
        raise ValueError("Umbel sends no logs to other hosts; read them with `umbel log`.")
    if filename is not None:
        handler = logging.FileHandler(filename)
        handler.setFormatter(logging.Formatter(f"{identifier} | %(levelname)s %(name)s %(asctime)s | %(message)s"))
        FLOWER_LOGGER.addHandler(handler)


def update_console_handler(
    level: int | None = None, timestamps: bool | None = None, colored: bool | None = None
) -> None:
    """Show messages from `level` on; their format is decided by the log's reader."""
    if level is not None:
        FLOWER_LOGGER.setLevel(level)


__all__ = ["FLOWER_LOGGER", "LOGGER_NAME", "configure", "log", "logger", "update_console_handler"]
