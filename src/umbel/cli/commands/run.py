"""`umbel run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from umbel.cli.output import Format
from umbel.cli.parameters import FormatOption, SuperLinkArgument


def run(
    app: Annotated[
        Path, typer.Argument(metavar="APP", help="Folder or bundle (.fab) of the app.", show_default="this folder")
    ] = Path(),
    superlink: SuperLinkArgument = None,
    run_config: Annotated[
        list[str] | None,
        typer.Option(
            "--run-config",
            "-c",
            metavar="KEY=VALUE...|FILE.toml",
            help="Override settings of the app: 'lr=0.1 model.name=\"cnn\"', or one .toml file. Repeatable.",
        ),
    ] = None,
    federation_config: Annotated[
        list[str] | None,
        typer.Option(
            "--federation-config",
            metavar="KEY=VALUE...",
            help="Settings of the simulation, such as 'num-supernodes=100'. Repeatable.",
        ),
    ] = None,
    federation: Annotated[
        str | None, typer.Option("--federation", metavar="@ACCOUNT/NAME", help="Federation to run in.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of the run. The same seed gives the same model, bit for bit.")
    ] = 0,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Follow the run until it ends (the default, except with --format json). Ctrl-C then stops the run.",
            show_default=False,
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Same as --no-stream.")] = False,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Run an app: build its bundle, send it to a SuperLink and show the run until its end.

    With the connection ':local:' (the default) a SuperLink on this machine is started if none runs yet.
    The exit code is 0 if the run completed, 20 if it failed, 21 if someone else stopped it, 130 after Ctrl-C.
    """
    from umbel.cli.launch import Launch, launch
    from umbel.errors import UsageError

    if detach and stream:
        raise UsageError("--detach and --stream are mutually exclusive.", hint="Use only one of them.")
    streaming = stream if stream is not None else not detach and output is Format.DEFAULT
    request = Launch(
        app=app,
        superlink=superlink,
        run_config=run_config or [],
        federation_config=federation_config or [],
        federation=federation,
        seed=seed,
    )
    code = launch(request, streaming=streaming, as_json=output is Format.JSON)
    sys.stdout.flush()
    raise typer.Exit(code)
