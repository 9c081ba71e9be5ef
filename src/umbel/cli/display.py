"""Displays of a run's progress: live in a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from umbel.cli.output import clean
from umbel.cli.progress import RoundResult, RunProgress
from umbel.cli.report import app_text, duration, metrics_text

if TYPE_CHECKING:
    from umbel.wire.api import Event, LogLine, RunView, StreamItem


def header(run: RunView) -> str:
    """The first line of a run: app, run id, seed."""
    return f"Run {run.run_id}  {app_text(run)}  seed {run.seed}"


def event_line(event: Event, progress: RunProgress) -> str | None:
    """The line that stays on the screen for an event already folded into `progress`; None for most kinds.

    Notes and replies left out are in the log as well, which is on the same screen.
    """
    data = event.data
    match event.kind:
        case "round-finished":
            return round_line(progress.results[-1])
        case "task" if isinstance(data.get("attempt"), int) and data.get("state") == "created" and data["attempt"] != 1:
            return clean(f"restarting the app process (attempt {data['attempt']}): {data.get('reason')}")
    return None


def round_line(result: RoundResult) -> str:
    """One finished round: `round 3/10  100 clients  1.2 s  train loss 0.41, evaluate accuracy 0.88`."""
    parts = [f"round {result.number}{f'/{result.num_rounds}' if result.num_rounds else ''}"]
    if result.clients:
        parts.append(f"{result.clients} client{'' if result.clients == 1 else 's'}")
    if result.failed:
        parts.append(f"{result.failed} failed")
    if result.seconds is not None:
        parts.append(duration(result.seconds))
    if result.metrics:
        parts.append(clean(metrics_text(result.metrics)))
    return "  ".join(parts)


def log_prefix(line: LogLine) -> str:
    """Where a log line comes from: time, level, source, node, round."""
    clock = time.strftime("%H:%M:%S", time.localtime(line.at)) if line.at else "--:--:--"
    node = f" node {line.node_id}" if line.node_id is not None else ""
    server_round = f" r{line.round}" if line.round is not None else ""
    return f"{clock} {line.level:<7} {line.source}{node}{server_round}"


def log_text(line: LogLine) -> str:
    """A log line with its origin before each of its lines."""
    prefix = log_prefix(line)
    return "\n".join(f"{prefix} | {text}" for text in line.text.rstrip("\n").split("\n"))


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


class PlainDisplay:
    """One line for each round; log lines as they are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.progress = RunProgress()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def started(self, run: RunView) -> None:
        """Write the header."""
        self.progress = RunProgress.of(run)
        self._line(header(run))

    def show(self, item: StreamItem) -> None:
        """Write the item's line, if it has one."""
        if item.log is not None:
            self._line(item.log.text.rstrip("\n"))
        if item.event is not None:
            self._event(item.event)

    def notice(self, text: str) -> None:
        """Write a word about what the command does."""
        self._line(text)

    def _event(self, event: Event) -> None:
        before = self.progress.waiting
        self.progress.apply(event)
        line = event_line(event, self.progress)
        if line is not None:
            self._line(line)
        if self.progress.waiting and self.progress.waiting != before:
            self._line(self.progress.waiting)

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
