"""Runs a command that must not outlive whoever wanted it: `python guard.py COMMAND…`, the leader of a session of its own.

Its stdin is the read end of a pipe. When the other end is closed, by whomever or by anybody's death, this process and all that the
command has started are killed. Standard library alone: it starts in milliseconds.
"""

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run the command; returns its exit code, 128 and more for a signal, as a shell has it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Descriptors are passed on: a lock that was given to us is held until the command is gone.
    code = subprocess.call(command, stdin=subprocess.DEVNULL, close_fds=False)
    return code if code >= 0 else 128 - code


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
