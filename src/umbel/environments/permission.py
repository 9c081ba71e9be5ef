"""Whether the dependencies of apps may be installed here: decided by whoever starts a program, for all that the program starts."""

from __future__ import annotations

import os

OPTION = "--allow-runtime-dependency-installation"
VARIABLE = "UMBEL_ALLOW_RUNTIME_DEPENDENCY_INSTALLATION"
HELP = "install what an app declares and this machine does not have, with uv, into an environment for that app"


def may_install() -> bool:
    """Whether this process may install what apps declare."""
    return os.environ.get(VARIABLE, "").lower() in ("1", "true", "yes")


def allow() -> None:
    """This process and its children may."""
    os.environ[VARIABLE] = "1"
