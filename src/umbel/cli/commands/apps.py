"""Commands for apps: new, build, install."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umbel.cli.output import Format, print_json, print_warning
from umbel.cli.parameters import AppOption, FormatOption

DEFAULT_TEMPLATE = "numpy"


def new(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the app and its folder; prompted for if omitted.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", "--framework", metavar="NAME", help="Template: numpy, sklearn or pytorch."),
    ] = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Make a new app from a template, in a folder of its name. Needs no network."""
    from umbel.bundle import TEMPLATES, new_app
    from umbel.cli.output import ask
    from umbel.errors import UsageError

    known = sorted(TEMPLATES)
    if template is not None and template not in known:
        raise UsageError(f"Unknown template '{template}'.", hint=f"Templates: {', '.join(known)}.")
    chosen_name = name or ask("The app's name", argument="NAME")
    chosen = template or ask("The template", argument="--template", default=DEFAULT_TEMPLATE, choices=known)
    target = Path.cwd() / chosen_name
    new_app(chosen, chosen_name, target)
    if output is Format.JSON:
        print_json({"success": True, "name": chosen_name, "template": chosen, "path": str(target)})
    else:
        print(f"Created {chosen_name} from the template '{chosen}'. Run it:\n\n  umbel run {chosen_name}\n")


def build(app: AppOption = Path(), output: FormatOption = Format.DEFAULT) -> None:
    """Build an app's bundle (FAB) and write it into this folder. The same files give the same bytes."""
    from umbel.bundle import build_fab, check_components, load_app
    from umbel.cli.output import write_file

    config = load_app(app)
    for warning in config.warnings:
        print_warning(warning)
    check_components(app, config)
    fab = build_fab(app)
    path = Path.cwd() / fab.filename
    write_file(path, fab.data)
    if output is Format.JSON:
        print_json(
            {
                "success": True,
                "fab-id": config.fab_id,
                "fab-name": config.name,
                "fab-version": config.version,
                "fab-hash": fab.hash,
                "fab-filename": fab.filename,
                "path": str(path),
                "size": len(fab.data),
            }
        )
    else:
        print(f"Built {fab.filename} ({len(fab.data)} bytes, hash {fab.hash}).")


def install(
    source: Annotated[
        Path | None, typer.Argument(metavar="SOURCE", help="The .fab file; prompted for if omitted.")
    ] = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Check an app bundle (FAB) and unpack it among this machine's apps."""
    from umbel.bundle import install_fab
    from umbel.cli.output import ask, read_file
    from umbel.home import apps_dir

    path = source or Path(ask("The .fab file", argument="SOURCE"))
    folder = install_fab(read_file(path.expanduser()), apps_dir())
    if output is Format.JSON:
        print_json({"success": True, "path": str(folder)})
    else:
        print(f"Installed in {folder}.")
