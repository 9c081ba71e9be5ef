"""Every command that a message, a page or a script names exists, with its options."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from tests.support.source_tree import ROOT, SRC
from umbel.cli.app import build_app
from umbel.superexec.main import parser as superexec_parser
from umbel.superlink.server.settings import parser as superlink_parser
from umbel.supernode.settings import parser as supernode_parser

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
GENERATED = {"cli.md", "errors.md", "http.md"}
QUOTED = re.compile(r"[`'](umbel(?:-super(?:link|node|exec))? [^`'\n]+)[`']")
SHELL = re.compile(r"^```shell\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^(?:\S+=\S+ )*(umbel(?:-super(?:link|node|exec))? .*)$", re.MULTILINE)
PARSERS = {
    "umbel-superlink": superlink_parser,
    "umbel-supernode": supernode_parser,
    "umbel-superexec": superexec_parser,
}


def named() -> Iterator[tuple[str, str]]:
    """(place, command) for each command that is named somewhere."""
    for path in sorted(SRC.rglob("*.py")):
        for match in QUOTED.finditer(path.read_text(encoding="utf-8")):
            yield str(path.relative_to(ROOT)), match[1]
    for path in sorted(page for page in PAGES if page.name not in GENERATED and "_build" not in page.parts):
        text = path.read_text(encoding="utf-8")
        for match in QUOTED.finditer(text):
            yield str(path.relative_to(ROOT)), match[1]
        for block in SHELL.finditer(text):
            for match in LINE.finditer(block[1].replace("\\\n", " ")):
                yield str(path.relative_to(ROOT)), match[1]


COMMANDS = sorted({(place, " ".join(command.split())) for place, command in named()})


def words(command: str) -> list[str]:
    """The words of a command as a shell would split it, without its comment."""
    return shlex.split(
        command.split("  #", maxsplit=1)[0]
        .split(" # ", maxsplit=1)[0]
        .replace("…", "")
        .replace("{", "")
        .replace("}", "")
    )


@pytest.mark.parametrize(("place", "command"), COMMANDS)
def test_a_command_that_is_named_exists(place: str, command: str) -> None:
    """The program has this subcommand, and it accepts each option."""
    program, *rest = words(command)
    if program == "umbel":
        node: Any = typer.main.get_command(build_app())
        while getattr(node, "commands", None) and rest and not rest[0].startswith("-"):
            assert rest[0] in node.commands, f"{place}: there is no command {rest[0]!r} in {command!r}"
            node = node.commands[rest.pop(0)]
        known = {option for parameter in node.params for option in (*parameter.opts, *parameter.secondary_opts)}
    else:
        known = options(PARSERS[program]())
    used = {word.partition("=")[0] for word in rest if re.fullmatch(r"--?[a-zA-Z][\w-]*(=.*)?", word)}
    assert used <= known | {"--help"}, f"{place}: {command!r} has unknown options: {', '.join(sorted(used - known))}"


def options(parser: argparse.ArgumentParser) -> set[str]:
    """The option strings of a parser."""
    return {option for action in parser._actions for option in action.option_strings}


def test_commands_are_found() -> None:
    """The search sees messages and pages."""
    assert any(place.startswith("src/") for place, _ in COMMANDS)
    assert sum(place.startswith("docs/") for place, _ in COMMANDS) > 40
