"""The progress bar: on a terminal's standard error, and only once a run has taken half a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

DELAY = 0.5
"""Seconds of silence."""
_INTERVAL = 0.1


class Progress:
    """Shows how many of `total` files are done. rich is loaded only when there is something to show."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._begun = time.monotonic()
        self._last = 0.0
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def step(self, done: int, total: int) -> None:
        """Notes that `done` files of `total` are done."""
        now = time.monotonic()
        if now - self._begun < DELAY or now - self._last < _INTERVAL:
            return
        self._last = now
        if self._bar is None:
            self._start()
        assert self._bar is not None
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total)
        self._bar.refresh()

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("checking"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("files"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            # No thread of its own: a later fork must not meet one.
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=self.total)
        self._bar.start()

    def stop(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
