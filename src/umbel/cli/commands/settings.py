"""Commands for settings: config, certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umbel.cli.output import Format, print_json, styled
from umbel.cli.parameters import FormatOption


def config_list(output: FormatOption = Format.DEFAULT) -> None:
    """List the SuperLink connections of config.toml."""
    from umbel.cli.config import read_connections

    connections = read_connections()
    if output is Format.JSON:
        print_json(
            {
                "success": True,
                "path": str(connections.path),
                "superlink": list(connections.by_name),
                "default": connections.default,
            }
        )
        return
    print(f"SuperLink connections in {connections.path}")
    for name, connection in connections.by_name.items():
        mark = styled("  (default)", "dim") if name == connections.default else ""
        print(f"  {styled(name, 'bold')}  {connection.address}{mark}")


def certificate_create(
    names: Annotated[
        list[str],
        typer.Argument(metavar="HOST...", help="The SuperLink's host names and addresses, as clients will write them."),
    ],
    directory: Annotated[
        Path, typer.Option("--directory", help="Where the files go. An authority that is there is used again.")
    ] = Path("certificates"),
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="For how long the certificate is valid.")] = 825,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Make a SuperLink's TLS certificate, and the authority whose certificate the clients trust."""
    from umbel.cli.certificates import create

    made = create(directory, names, days)
    if output is Format.JSON:
        files = {"ca": made.authority, "ca-key": made.authority_key, "certificate": made.certificate, "key": made.key}
        print_json({"success": True, **{name: str(path) for name, path in files.items()}})
        return
    print(f"Certificate for {', '.join(names)}:")
    print(f"  umbel-superlink --ssl-certfile {made.certificate} --ssl-keyfile {made.key}")
    print(f"Every SuperNode and every `umbel` gets {made.authority} as its root certificate.")
    print(f"Keep {made.authority_key} to yourself: it makes further certificates.")
