"""`umbel install`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umbel.cli.output import Format, print_json
from umbel.cli.parameters import FormatOption


def install(
    source: Annotated[
        Path | None, typer.Argument(metavar="SOURCE", help="The .fab file; asked for if it is not given.")
    ] = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Check an app bundle (FAB) and unpack it among this machine's apps."""
    from umbel.bundle import install_fab
    from umbel.cli.ask import ask
    from umbel.cli.files import read_file
    from umbel.home import apps_dir

    path = source or Path(ask("The .fab file", argument="SOURCE"))
    folder = install_fab(read_file(path.expanduser()), apps_dir())
    if output is Format.JSON:
        print_json({"success": True, "path": str(folder)})
    else:
        print(f"Installed in {folder}.")
