"""A worker process and what ties it to us: a channel, a lifeline, and the words that say where it is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping

from umbel.engine import segment, whereabouts
from umbel.engine.channel import Channel


class WorkerProcess:
    """A running `umbel.engine.worker`. It ends when we do."""

    def __init__(self, environment: Mapping[str, str], interpreter: str = sys.executable) -> None:
        """Start it, with these environment variables beside our own; its first frame must be a Setup."""
        self.is_unwanted = False  # killed by us: its end is nobody's fault
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        words = whereabouts.create()
        self.whereabouts = whereabouts.Whereabouts(words)
        inherited = [theirs.fileno(), lifeline, words]
        self.process = subprocess.Popen(
            [interpreter, "-m", "umbel.engine.worker", *map(str, inherited)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            pass_fds=inherited,
        )
        theirs.close()
        segment.close(lifeline)
        segment.close(words)
        self.channel = Channel(ours)

    def kill(self) -> None:
        """End it at once; its end is nobody's fault."""
        self.is_unwanted = True
        self.process.kill()

    def end(self) -> str:
        """Wait for the process, which is ending, and let go of everything. Says how it ended."""
        code = self.process.wait()
        self.channel.close()
        segment.close(self._lifeline)
        if code >= 0:
            return f"with exit code {code}"
        name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
        return f"by {name}" + (" (out of memory, perhaps)" if name == "SIGKILL" else "")
