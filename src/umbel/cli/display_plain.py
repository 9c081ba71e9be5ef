"""A run shown as plain lines, for pipes, files and CI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TextIO

from umbel.cli.lines import event_line, header
from umbel.cli.progress import RunProgress

if TYPE_CHECKING:
    from umbel.wire.api import Event, RunView, StreamItem


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
