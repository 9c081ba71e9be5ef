"""`umbel new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umbel.cli.output import Format, print_json
from umbel.cli.parameters import FormatOption

DEFAULT_TEMPLATE = "numpy"


def new(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The app's name, and its folder's; asked for if not given.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template", "--framework", metavar="NAME", help="What to begin with: numpy, sklearn or pytorch."
        ),
    ] = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Make a new app from a template, in a folder of its name. Needs no network."""
    from umbel.bundle import TEMPLATES, new_app
    from umbel.cli.ask import ask
    from umbel.errors import UsageError

    known = sorted(TEMPLATES)
    if template is not None and template not in known:
        raise UsageError(f"There is no template '{template}'.", hint=f"Templates: {', '.join(known)}.")
    chosen_name = name or ask("The app's name", argument="NAME")
    chosen = template or ask("The template", argument="--template", default=DEFAULT_TEMPLATE, choices=known)
    target = Path.cwd() / chosen_name
    new_app(chosen, chosen_name, target)
    if output is Format.JSON:
        print_json({"success": True, "name": chosen_name, "template": chosen, "path": str(target)})
    else:
        print(f"Made {chosen_name} from the template '{chosen}'. Run it:\n\n  umbel run {chosen_name}\n")
