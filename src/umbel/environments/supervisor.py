"""Supervisor process: runs a command and kills it with everything it started when the caller ends."""

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run the command; returns its exit code, or 128 plus the signal number, as a shell does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The command inherits the descriptors, and with them any lock, until it ends.
    code = subprocess.call(command, stdin=subprocess.DEVNULL, close_fds=False)
    return code if code >= 0 else 128 - code


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
