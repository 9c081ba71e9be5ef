"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umbel.cli.output import Format


def complete_connection(incomplete: str) -> list[str]:
    """The names in `config.toml` that begin with what was typed."""
    from umbel.cli.config import read_connections
    from umbel.errors import ConfigError

    try:
        names = read_connections().by_name
    except ConfigError:
        return []
    return [name for name in names if name.startswith(incomplete)]


RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The run: its ID, a unique prefix of it, or 'last'."),
]
SuperLinkArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="SUPERLINK",
        help="Name of the SuperLink connection in config.toml. Default: the default connection defined there.",
        autocompletion=complete_connection,
        show_default=False,
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option("--format", case_sensitive=False, help="Output format: text, or one JSON object."),
]
IgnoredFederationConfig = Annotated[
    list[str] | None,
    typer.Option("--federation-config", hidden=True, help="Accepted for compatibility and ignored."),
]
AppOption = Annotated[
    Path,
    typer.Option("--app", help="Folder of the app, which contains pyproject.toml.", show_default="this folder"),
]
