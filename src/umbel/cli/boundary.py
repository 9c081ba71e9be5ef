"""The boundary of the command line: every error becomes a message, a hint and an exit code."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from umbel.cli.output import print_error, print_json_error
from umbel.cli.updates import remind
from umbel.errors import UmbelError, UsageError

UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
READER_GONE = 1  # as typer ends when it meets a closed pipe first


class Unexpected(UmbelError):
    """A fault of Umbel itself."""

    code, exit_code = "unexpected", UNEXPECTED


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Lets only `Interrupted` through."""
    try:
        code = _invoke(list(arguments) or ["--help"])
        sys.stdout.flush()
        if not wants_json(arguments) and (reminder := remind()):
            print(reminder, file=sys.stderr)
        return code
    except BrokenPipeError:
        _silence_stdout()
        return READER_GONE
    except UmbelError as error:
        return _report(error, arguments)
    except Exception as error:  # noqa: BLE001 - the request boundary of the command line
        return _report(_save_crash(error, arguments), arguments)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, known even when it is not valid."""
    words = " ".join(arguments).lower().replace("--format=", "--format ")
    return "--format json" in words


def _invoke(arguments: list[str]) -> int:
    import typer

    from umbel.cli.app import build_app

    try:
        result = build_app()(args=arguments, prog_name="umbel", standalone_mode=False)
    except typer.TyperException as error:
        if not error.format_message():
            return 0  # a group without a command: it has shown its help
        raise UsageError(error.format_message(), hint=_usage_hint(error)) from error
    except typer.Abort:
        return 1
    return result if isinstance(result, int) else 0


def _usage_hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"See '{context.command_path if context else 'umbel'} --help'."


def _report(error: UmbelError, arguments: Sequence[str]) -> int:
    try:
        if wants_json(arguments):
            print_json_error(error)
        else:
            print_error(error)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
    return error.exit_code


def _silence_stdout() -> None:
    """The reader of stdout has gone: flushing the remaining output at exit must not raise."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _save_crash(error: Exception, arguments: Sequence[str]) -> Unexpected:
    from umbel import __version__

    lines = [f"umbel {__version__}, Python {sys.version}\n", f"arguments: {list(arguments)}\n\n"]
    what = f"Internal error (a bug in Umbel): {type(error).__name__}: {error}"
    try:
        path = _crash_path()
        path.write_text("".join(lines + traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        traceback.print_exception(error)
        return Unexpected(what)
    return Unexpected(what, hint=f"Please report the details in {path}.")


def _crash_path() -> Path:
    from umbel.home import home

    folder = home() / "crash"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
