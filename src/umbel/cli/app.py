"""The tree of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from umbel import __version__
from umbel.cli.commands.apps import build, install, new
from umbel.cli.commands.run import run
from umbel.cli.commands.runs import list_runs, log, pull, stop
from umbel.cli.commands.settings import certificate_create, config_list
from umbel.cli.commands.supernode import keygen, list_nodes, register, rotate, unregister

SETTINGS = {"help_option_names": ["-h", "--help"]}


def build_app() -> typer.Typer:
    """The command line `umbel`, ready to be called with arguments."""
    app = typer.Typer(name="umbel", context_settings=SETTINGS, pretty_exceptions_enable=False, no_args_is_help=True)
    app.callback()(umbel)
    app.command("new")(new)
    app.command("run")(run)
    app.command("list")(list_runs)
    app.command("ls", hidden=True)(list_runs)
    app.command("log")(log)
    app.command("stop")(stop)
    app.command("pull")(pull)
    app.command("build")(build)
    app.command("install")(install)
    app.add_typer(_supernode(), name="supernode")
    app.add_typer(_config(), name="config")
    app.add_typer(_certificate(), name="certificate")
    return app


def umbel(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")] = False,
) -> None:
    """Federated AI that people can trust with real work: one app, run across data that cannot move."""
    if version:
        print(f"umbel {__version__}")
        raise typer.Exit


def _config() -> typer.Typer:
    config = typer.Typer(help="Manage connections to SuperLinks.", no_args_is_help=True)
    config.command("list")(config_list)
    config.command("ls", hidden=True)(config_list)
    return config


def _supernode() -> typer.Typer:
    supernode = typer.Typer(help="Manage the nodes of a federation and their keys.", no_args_is_help=True)
    supernode.command("register")(register)
    supernode.command("unregister")(unregister)
    supernode.command("list")(list_nodes)
    supernode.command("ls", hidden=True)(list_nodes)
    supernode.command("rotate")(rotate)
    supernode.command("keygen")(keygen)
    return supernode


def _certificate() -> typer.Typer:
    certificate = typer.Typer(help="Create TLS certificates for a SuperLink.", no_args_is_help=True)
    certificate.callback()(lambda: None)  # so that `create` is a subcommand and not the whole group
    certificate.command("create")(certificate_create)
    return certificate
