"""Bars on standard error that show how far work is, where that is a terminal."""

import sys
import time
from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from moorage.work.reports import WorkReports


class _RateColumn(ProgressColumn):
    """Number per second."""

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


class Bars(WorkReports):
    """A bar for each part of the work."""

    def __init__(
        self, *, counts: bool = False, is_transient: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make them, without a bar yet.

        Args:
            counts: show numbers and their rate; if not, percents.
            is_transient: leave nothing of them at the end.
            clock: seconds.
        """
        # FORCE_COLOR, which continuous integration sets, asks for colours: there is no terminal there nevertheless.
        self._console = Console(
            stderr=True, highlight=False, force_terminal=sys.stderr is not None and sys.stderr.isatty()
        )
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *((MofNCompleteColumn(), _RateColumn()) if counts else (TaskProgressColumn(),)),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=is_transient,
            get_time=clock,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._progress.stop()

    def begins(self, part: str, total: float | None = 1.0) -> None:
        """See the port."""
        self._tasks[part] = self._progress.add_task(part, total=total, said="")

    def advanced(self, part: str, count: float = 1) -> None:
        """See the port."""
        self._progress.advance(self._tasks[part], count)

    def moved(self, part: str, done: float, *, total: float | None = None, said: str = "") -> None:
        """See the port."""
        if part not in self._tasks:
            self.begins(part)
        self._progress.update(self._tasks[part], completed=done, total=total, said=said)

    def says(self, text: str) -> None:
        """See the port."""
        self._console.print(text)

    def elapsed_s(self, part: str) -> float:
        """Return how many seconds ago a part has begun; 0 if it has not."""
        task_id = self._tasks.get(part)
        found = None if task_id is None else self._progress.tasks[self._progress.task_ids.index(task_id)].elapsed
        return found or 0.0
