"""Write the reference pages that come from the code: commands, errors and strategies, below docs/reference."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dev import strategy_pages

from umbel.errors import UmbelError, all_errors

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
GENERATED = "<!-- Written by dev/reference.py from the code: edit that. -->\n"


def main() -> None:
    """Write all pages."""
    remedies = tomllib.loads((REFERENCE / "remedies.toml").read_text(encoding="utf-8"))
    (REFERENCE / "errors.md").write_text(errors_page(remedies), encoding="utf-8")
    (REFERENCE / "cli.md").write_text(cli_page(), encoding="utf-8")
    (REFERENCE / "http.md").write_text(http_page(), encoding="utf-8")
    folder = REFERENCE / "strategies"
    folder.mkdir(exist_ok=True)
    for name, text in strategy_pages.pages():
        (folder / name).write_text(GENERATED + text, encoding="utf-8")


def errors_page(remedies: dict[str, str]) -> str:
    """The page of all errors. Raises ValueError when `remedies` and the classes do not have the same codes."""
    import umbel.cli.boundary  # noqa: F401 - defines an error

    errors = sorted(all_errors(), key=lambda error: error.exit_code)
    codes = {error.code for error in errors}
    if codes != remedies.keys():
        raise ValueError(f"remedies.toml and umbel.errors differ in: {', '.join(sorted(codes ^ remedies.keys()))}.")
    lines = [
        GENERATED,
        "# Errors\n",
        "Whatever goes wrong has a code. The command line ends with the exit code given here, and with `--format json` prints",
        "the code; the HTTP API answers with the status given here and a problem document",
        "([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) that carries the code.\n",
        "| code | exit code | HTTP status | what happened |",
        "|---|---|---|---|",
        *(f"| [{e.code}](#{e.code}) | {e.exit_code} | {e.http_status} | {summary(e)} |" for e in errors),
        "",
        *(section for error in errors for section in error_section(error, remedies[error.code])),
    ]
    return "\n".join(lines) + "\n"


def error_section(error: type[UmbelError], remedy: str) -> Iterator[str]:
    """What happened and what to do."""
    yield f"## {error.code}\n"
    yield f"{inspect.getdoc(error)}\n"
    yield f"*Class* `{error.__module__}.{error.__qualname__}` · *exit code* {error.exit_code} · *HTTP status* {error.http_status}\n"
    yield f"**What to do.** {remedy.strip()}\n"


def summary(error: type[UmbelError]) -> str:
    """The first line of the class's docstring."""
    return (inspect.getdoc(error) or "").splitlines()[0]


def cli_page() -> str:
    """The page of all commands, from the same tree that parses them."""
    import typer

    from umbel.cli.app import build_app

    root = typer.main.get_command(build_app())
    intro = [
        GENERATED,
        "# Command line\n",
        "Every command has `--help`. Data commands take `--format json`, for scripts. The exit codes are those of",
        "[the errors](errors.md); 0 means that all went well.\n",
    ]
    return "\n".join([*intro, *command_sections(root, ["umbel"])]) + "\n"


def http_page() -> str:
    """The page of the Control API, from the OpenAPI document that a SuperLink serves."""
    from starlette.routing import Route

    from umbel.superlink.api.control import router
    from umbel.superlink.api.nodes import router as nodes

    lines = [
        GENERATED,
        "# HTTP API\n",
        "The Control API of a SuperLink, below `/api/v1`. Requests carry `Authorization: Bearer TOKEN`; bodies are JSON. A SuperLink serves the",
        "complete OpenAPI document at `/openapi.json` and a readable form at `/docs`. Errors are problem documents with the codes of",
        "[the errors](errors.md).\n",
        "| request | |",
        "|---|---|",
    ]
    for route in [route for route in (*router.routes, *nodes.routes) if isinstance(route, Route)]:
        methods = ", ".join(sorted((route.methods or set()) - {"HEAD"}))
        about = " ".join((inspect.getdoc(route.endpoint) or "").split("\n\n")[0].split())
        lines.append(f"| `{methods} {route.path}` | {about} |")
    return "\n".join(lines) + "\n"


def command_sections(command: Any, path: list[str]) -> Iterator[str]:
    """The section of a command and of its visible subcommands."""
    context = command.make_context(path[-1], [], resilient_parsing=True)
    yield f"## {' '.join(path)}\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    yield f"```text\n{' '.join([*path, *command.collect_usage_pieces(context)])}\n```\n"
    rows = [row for parameter in command.get_params(context) for row in parameter_row(parameter, context)]
    if rows:
        yield "\n".join(["| argument or option | meaning |", "|---|---|", *rows, ""])
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from command_sections(child, [*path, name])


def parameter_row(parameter: Any, context: Any) -> Iterator[str]:
    """A table row for a parameter, none for a hidden one and for `--help`, which every command has."""
    record = parameter.get_help_record(context)
    if record is None or parameter.name == "help" or getattr(parameter, "hidden", False):
        return
    name, meaning = (" ".join(text.split()).replace("|", "\\|").replace("[required]", "(required)") for text in record)
    yield f"| `{name}` | {meaning} |"


if __name__ == "__main__":
    main()
