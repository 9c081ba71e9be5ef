"""The program `umbel-superexec`, which claims the tasks of one SuperLink and runs each in a separate process.

It imports only the standard library and the message types, to use little memory: it runs for as long as its SuperLink.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from umbel._os import wake_on_termination
from umbel.environments import requirements
from umbel.errors import UmbelError
from umbel.superexec import plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from umbel.wire.programs import RuntimeClient

STDIN = 0
_SHARED = "file with the secret shared with a SuperLink on another machine"
_MAX_CONCURRENT = (
    f"maximum number of concurrent tasks of each kind (default: {plan.MAX_CONCURRENT}, "
    f"or {plan.CONCURRENT['simulation']} simulation and {plan.CONCURRENT['serverapp']} ServerApps)"
)


def main(arguments: Sequence[str] | None = None, program: Sequence[str] | None = None) -> int:
    """Run a SuperExec until SIGTERM or the end of its parent process; returns the exit code.

    `program` replaces `plan.PROGRAMS` as the command for all tasks.
    """
    options = parser().parse_args(arguments)
    if options.allow_runtime_dependency_installation:
        requirements.allow()
    logging.basicConfig(level=logging.INFO, format="[superexec] %(message)s", stream=sys.stderr)
    try:
        client = _client(options.superlink, options.superexec_auth_secret_file, options.root_certificates)
        slots = plan.max_concurrent(options.max_concurrent, os.environ)
        _serve(client, slots, dict.fromkeys(slots, program) if program else plan.PROGRAMS)
    except UmbelError as error:
        print(f"umbel-superexec: {error}", file=sys.stderr)  # noqa: T201 - the error message for the user
        return error.exit_code
    return 0


def _client(address: str, secret_file: Path | None, root_certificates: str | None) -> RuntimeClient:
    """Create a client that signs with the shared secret, or uses the token of the SuperLink that started this process. Raises ConfigError, UsageError."""
    from umbel.wire.connection import running_address
    from umbel.wire.programs import RuntimeClient
    from umbel.wire.signatures import executor_credentials, read_secret

    own = executor_credentials(read_secret(secret_file)) if secret_file else plan.executor_token(os.environ)
    forever = float("inf")
    return RuntimeClient(address, own, patience=forever, locate=running_address, root_certificates=root_certificates)


def _serve(client: RuntimeClient, slots: Mapping[str, int], programs: Mapping[str, Sequence[str]]) -> None:
    from umbel.superexec.executor import Executor

    woken, wake = os.pipe()
    executor = Executor(client, slots, programs, lambda: os.write(wake, b"!"))
    wake_on_termination(wake)
    executor.start()
    _wait_for_end(woken)
    executor.end()
    if executor.failure:
        raise executor.failure


def _wait_for_end(woken: int) -> None:
    """Wait for a byte from `woken`, or, if stdin is a pipe, until the parent process closes it."""
    watched = [woken, STDIN] if stat.S_ISFIFO(os.fstat(STDIN).st_mode) else [woken]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if woken in ready or not os.read(STDIN, 4096):
            return


def parser() -> argparse.ArgumentParser:
    """The command line of the program."""
    parser = argparse.ArgumentParser(
        prog="umbel-superexec", description="Claims the tasks of a SuperLink and runs each in a separate process."
    )
    parser.add_argument(
        "--superlink",
        required=True,
        metavar="ADDRESS",
        help="URL of the SuperLink, https://HOST:PORT; separate several with commas",
    )
    parser.add_argument(
        "--root-certificates",
        metavar="FILE",
        help="PEM file with the certificate authorities to trust (default: the system's)",
    )
    parser.add_argument("--superexec-auth-secret-file", type=Path, metavar="FILE", help=_SHARED)
    parser.add_argument("--max-concurrent", type=int, metavar="N", help=_MAX_CONCURRENT)
    parser.add_argument(requirements.OPTION, action="store_true", help=requirements.HELP)
    return parser


if __name__ == "__main__":
    sys.exit(main())
