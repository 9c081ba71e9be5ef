"""The SuperExec that belongs to a local SuperLink: a child process, started again when it dies."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING

from umbel.environments import requirements

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable


_HEALTHY = 10.0  # seconds of life; an earlier death is likely to come again, and waits longer each time
_MIN_DELAY, _MAX_DELAY = 0.5, 30.0
_LAST_WORDS = 1.0  # seconds for what it wrote at its end
_GRACE = 10.0  # seconds to end by itself


def command(address: str, *, may_install: bool = False) -> list[str]:
    """How the SuperExec of the SuperLink at `address` is started; with `may_install` it installs what apps declare."""
    options = [requirements.OPTION] if may_install else []
    return [sys.executable, "-m", "umbel.superexec.main", "--superlink", address, *options]


class SuperExecChild:
    """The process, started at once. It ends itself and its children when its stdin, a pipe held here, is closed."""

    def __init__(self, argv: list[str], token: str, home: Path, *, relayed: bool = False) -> None:
        """`relayed`: what it writes goes to wherever this process's stderr goes at the time."""
        self._argv = argv
        self._relayed = relayed
        self._relay: Thread | None = None
        self._environment = {**os.environ, "UMBEL_EXECUTOR_TOKEN": token, "UMBEL_HOME": str(home)}
        self._ending: asyncio.Event | None = None
        self._watch: asyncio.Task[None] | None = None
        self.process = self._spawn()

    def watch(self, on_death: Callable[[], Awaitable[None]]) -> None:
        """Keep it alive from now on; `on_death` is called each time it has died. To be called in the event loop."""
        import asyncio

        self._ending = asyncio.Event()
        self._watch = asyncio.create_task(self._keep(self._ending, on_death))

    async def end(self) -> None:
        """End it: asked first, killed if it does not comply."""
        import asyncio

        if self._ending is not None:
            self._ending.set()
        self._close_pipe()
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, _GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._watch is not None:
            await self._watch

    def kill(self) -> None:
        """End it at once, if it still lives."""
        self._close_pipe()
        self.process.kill()
        self.process.wait()
        if self._relay is not None:
            self._relay.join(_LAST_WORDS)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # A separate session: Ctrl-C in the terminal reaches the SuperLink, which shuts the SuperExec down in order.
        process = subprocess.Popen(
            self._argv,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self._relayed else None,
            stderr=subprocess.STDOUT if self._relayed else None,
            start_new_session=True,
        )
        if process.stdout is not None:
            self._relay = Thread(target=_pass_on, args=(process.stdout,), name="superexec-log", daemon=True)
            self._relay.start()
        return process

    async def _keep(self, ending: asyncio.Event, on_death: Callable[[], Awaitable[None]]) -> None:
        import asyncio
        import logging

        loop, delay = asyncio.get_running_loop(), 0.0
        while not ending.is_set():
            born = loop.time()
            code = await asyncio.to_thread(self.process.wait)
            if ending.is_set():
                return
            delay = 0.0 if loop.time() - born > _HEALTHY else min(max(_MIN_DELAY, 2 * delay), _MAX_DELAY)
            logging.getLogger(__name__).warning("The SuperExec ended (%s); restarting it in %.1f s.", code, delay)
            await on_death()
            with suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), delay)
                return
            self._close_pipe()
            self.process = self._spawn()

    def _close_pipe(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()


def _pass_on(output: IO[bytes]) -> None:
    with output:
        while block := os.read(output.fileno(), 1 << 16):
            os.write(2, block)
