"""Progress on stderr: a bar where a person looks, a plain line every ten seconds elsewhere."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_EVERY_S = 10.0


class Progress:
    """Counts up; ``advance`` may be called as often as is handy."""

    def __init__(self, label: str, total: int | None, stderr: TextIO) -> None:
        self._label = label
        self._total = total
        self._stderr = stderr
        self._done = 0
        self._told_s = time.monotonic()

    def expect(self, total: int) -> None:
        """Tell the total, once it is known."""
        self._total = total

    def describe(self, label: str) -> None:
        """Say something else beside the figures from now on."""
        self._label = label

    def advance(self, amount: int) -> None:
        self._done += amount
        if time.monotonic() - self._told_s >= _EVERY_S:
            self._told_s = time.monotonic()
            of_total = f" of {self._total:,}" if self._total is not None else ""
            self._stderr.write(f"{self._label}: {self._done:,}{of_total}\n")


class _Silent(Progress):
    def advance(self, amount: int) -> None: ...


@contextmanager
def progress(label: str, total: int | None, *, quiet: bool = False, stderr: TextIO | None = None) -> Iterator[Progress]:
    """Progress for the length of a ``with``; ``total`` is None when nobody knows."""
    stderr = stderr or sys.stderr
    if quiet:
        yield _Silent(label, total, stderr)
    elif not stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Progress(label, total, stderr)
    else:
        with _bar(label, total) as bar:
            yield bar


@contextmanager
def _bar(label: str, total: int | None) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Counted(ProgressColumn):
        """``1,200 of 5,000  310/s``; without a total nothing is made up."""

        def render(self, task: Task) -> Text:
            of_total = f" of {int(task.total):,}" if task.total is not None else ""
            speed = f"  {task.speed:,.0f}/s" if task.speed else ""
            return Text(f"{int(task.completed):,}{of_total}{speed}")

    class Left(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            return Text("left ") + super().render(task) if task.time_remaining is not None else Text("")

    columns = TextColumn("{task.description}", markup=False), BarColumn(), Counted(), TimeElapsedColumn(), Left()
    with RichProgress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as rich_progress:
        task = rich_progress.add_task(label, total=total)

        class Bar(Progress):
            def expect(self, total: int) -> None:
                rich_progress.update(task, total=total)

            def describe(self, label: str) -> None:
                rich_progress.update(task, description=label)

            def advance(self, amount: int) -> None:
                rich_progress.advance(task, amount)

        yield Bar(label, total, sys.stderr)
