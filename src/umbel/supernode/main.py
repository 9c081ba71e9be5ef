"""The program `umbel-supernode`: the agent of a site, which opens outgoing connections only."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from umbel._os import wake_on_termination
from umbel.environments import requirements
from umbel.errors import UmbelError
from umbel.supernode import settings as options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from umbel.supernode.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    try:
        return run(options.parse(arguments))
    except UmbelError as error:
        sys.stderr.write(f"umbel-supernode: {error}\n")
        return error.exit_code


def run(settings: Settings) -> int:
    """Serve with these settings. Raises Conflict when another SuperNode uses the state directory, or the error with which the SuperLink rejects the node."""
    from umbel.supernode.agent import Agent
    from umbel.supernode.components import build
    from umbel.supernode.state import StateDir, load_key, own_key
    from umbel.wire.programs import FleetClient
    from umbel.wire.signatures import node_credentials

    if settings.may_install:
        requirements.allow()
    state = StateDir(settings.state_dir)
    with state.lock():
        _log_to(settings)
        key = load_key(settings.private_key) if settings.private_key else own_key(state.key)
        credentials, roots = node_credentials(key), settings.root_certificates
        patient = FleetClient(settings.superlink, credentials, patience=float("inf"), root_certificates=roots)
        client = FleetClient(settings.superlink, credentials, patience=0.0, root_certificates=roots)
        woken, wake = os.pipe()
        wake_on_termination(wake)
        agent = Agent(settings, client, build(settings, state, patient), lambda: os.write(wake, b"!"))
        agent.start()
        os.read(woken, 1)
        patient.close()
        agent.end()
        if agent.failure:
            raise agent.failure
    return 0


def _log_to(settings: Settings) -> None:
    """Write the log of this process to the log file, or to stderr if none is set."""
    handler = logging.FileHandler(settings.log_file) if settings.log_file else logging.StreamHandler(sys.stderr)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
