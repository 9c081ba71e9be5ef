"""From a connection's name to a client of its SuperLink."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.cli.config import Connection, read_connections
from umbel.errors import ConfigError

if TYPE_CHECKING:
    from umbel.wire.control import ControlClient

PATIENCE = 2.0  # seconds for which a person waits for a SuperLink that does not answer
TOKEN_VARIABLE = "UMBEL_TOKEN"  # noqa: S105 - a name, not a token


def connect(name: str | None = None) -> ControlClient:
    """A client of the SuperLink called `name` in `config.toml` (the default one without a name)."""
    return open_client(read_connections().resolve(name))


def open_client(connection: Connection) -> ControlClient:
    """A client of this connection's SuperLink; the local one is started if it does not run.

    Raises ConfigError for a token file that cannot be read, SuperLinkUnreachable when the local one does not start.
    """
    if connection.is_local:
        from umbel.cli.local import connect_local

        return connect_local()
    from umbel.wire.control import ControlClient

    client = ControlClient(connection.url, _token(connection), root_certificates=connection.root_certificates)
    client.http.patience = PATIENCE
    return client


def _token(connection: Connection) -> str:
    if connection.token_file is None:
        return os.environ.get(TOKEN_VARIABLE, "")
    try:
        return Path(connection.token_file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The token of connection '{connection.name}' cannot be read: {error}.",
            hint=f"Mend token-file in config.toml, or set {TOKEN_VARIABLE}.",
        ) from error
