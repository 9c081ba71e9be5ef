"""A run shown live in a terminal: finished rounds and log lines scroll, the present round is a bar below them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from umbel.cli.lines import event_line, header, log_prefix
from umbel.cli.output import clean
from umbel.cli.progress import RunProgress
from umbel.cli.view import duration

if TYPE_CHECKING:
    from umbel.wire.api import Event, LogLine, RunView, StreamItem

BAR = 30  # characters
REFRESH = 8  # per second
LEVEL_STYLES = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}


class LiveDisplay:
    """Shows a run in the terminal behind `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self.progress = RunProgress()
        self._console = Console(file=stream, highlight=False)
        self._notice = "sending the app to the SuperLink"
        self._live = Live(
            get_renderable=self.render, console=self._console, refresh_per_second=REFRESH, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def started(self, run: RunView) -> None:
        """Write the header."""
        self._notice = ""
        self.progress = RunProgress.of(run)
        self._console.print(Text(clean(header(run)), style="bold"))

    def show(self, item: StreamItem) -> None:
        """Write what stays of an item; the bar follows by itself."""
        if item.log is not None:
            self._console.print(log_renderable(item.log))
        if item.event is not None:
            self._event(item.event)

    def notice(self, text: str) -> None:
        """Write a word about what the command does."""
        self._console.print(Text(clean(text), style="yellow"))

    def render(self) -> Text:
        """The lines below the scrolling ones: the round's bar, and what the run waits for."""
        if self._notice:
            return Text(self._notice, style="dim")
        now = time.time()
        text = bar_line(self.progress, now)
        if self.progress.waiting:
            text.append(f"\n{waiting_line(self.progress, now)}", style="yellow")
        elif self.progress.sites:
            text.append(f"\n{clean(self.progress.sites)}", style="yellow")
        return text

    def _event(self, event: Event) -> None:
        self.progress.apply(event)
        line = event_line(event, self.progress)
        if line is not None:
            self._console.print(Text(line, style="" if event.kind == "round-finished" else "yellow"))


def bar_line(progress: RunProgress, now: float) -> Text:
    """`round 4/10  train  ━━━━━━────  37/100  3.2 s  1 failed  ETA 42 s`, or the run's status outside rounds."""
    if not progress.in_round:
        text = Text(progress.status, style="cyan")
    else:
        rounds = f"/{progress.num_rounds}" if progress.num_rounds else ""
        text = Text(f"round {progress.round}{rounds}  {progress.phase}  ", style="cyan")
        _bar(text, progress.done, progress.total)
        text.append(f"  {progress.done}/{progress.total}  {duration(progress.elapsed(now))}")
        if progress.failed:
            text.append(f"  {progress.failed} failed", style="red")
    eta = progress.eta(now)
    if eta is not None:
        text.append(f"  ETA {duration(eta)}", style="dim")
    return text


def waiting_line(progress: RunProgress, now: float) -> str:
    """What the run waits for, and since when."""
    since = f" (since {duration(max(0.0, now - progress.waiting_since))})" if progress.waiting_since else ""
    return clean(f"{progress.waiting}{since}")


def log_renderable(line: LogLine) -> Text:
    """A log line with its origin, for a terminal."""
    text = Text(f"{log_prefix(line)} | ", style="dim")
    text.append(clean(line.text.rstrip("\n")), style=LEVEL_STYLES.get(line.level, "not dim"))
    return text


def _bar(text: Text, done: int, total: int) -> None:
    filled = BAR * done // total if total else 0
    text.append("━" * filled, style="green")
    text.append("━" * (BAR - filled), style="dim")
