"""Progress bars on a terminal; elsewhere, a line of text now and then."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from capgen.cli.console import is_terminal
from capgen.cli.time_left import TimeLeft


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal for several items; yield a function to call after each."""
    done = 0
    with LiveBar(bar=total > 1) as live:

        def advance() -> None:
            nonlocal done
            done += 1
            live.update(label, done, total)

        live.update(label, done, total)
        yield advance


class LiveBar:
    """A progress bar on a terminal; elsewhere, a line of text now and then.

    Args:
        write_line: Writes such a line; without it there are none.
        seconds: Least time between two lines.
        at_once: Write the first line at once.
        bar: Draw a bar on a terminal.
    """

    def __init__(
        self,
        write_line: Callable[[str], None] | None = None,
        *,
        seconds: float = 0.0,
        at_once: bool = False,
        bar: bool = True,
    ) -> None:
        self._write_line = write_line
        self._seconds = seconds
        self._last_line = time.monotonic() - (seconds if at_once else 0.0)
        self._wanted = bar
        self._bars: Any = None
        self._task: Any = None
        self._kind = ""
        self._time_left = TimeLeft()

    def __enter__(self) -> Self:
        if self._wanted and is_terminal(sys.stderr):
            from rich.progress import BarColumn, TextColumn

            fields = ("description", "fields[count]", "fields[left]", "fields[note]")
            label, *rest = (TextColumn(f"{{task.{name}}}", markup=False) for name in fields)
            columns = (label, BarColumn(), *rest)
            self._bars = progress_bars(*columns, transient=True)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, label: str, done: int, total: int | None) -> None:
        """Start a task of which `done` items took no time; writes no line."""
        self._time_left = TimeLeft()
        self._kind = _kind_of(label)
        self._time_left.report(done)
        if self._bars is not None:
            self._draw(label, done, total, "", None)

    def pause(self, seconds: float) -> None:
        """Leave time for other work out of the task's speed."""
        self._time_left.pause(seconds)

    def update(
        self,
        label: str,
        done: int,
        total: int | None,
        note: str = "",
        *,
        line: Callable[[float | None], str] | None = None,
        skipped: int = 0,
        beside: float = 0.0,
    ) -> None:
        """Show how far the work is.

        Args:
            label: What is being done. Other words, whatever the numbers, are a new task.
            done: Items done.
            total: Items in all, or None if that is not known.
            note: Shown behind the bar.
            line: Makes the line where there is no bar from the seconds left, None if those are
                not known; by default it is made from the rest.
            skipped: Items done that took no time, such as those of an earlier run.
            beside: Seconds of other work that are left.
        """
        if _kind_of(label) != self._kind:
            self._time_left = TimeLeft()
        self._kind = _kind_of(label)
        self._time_left.report(done, skipped)
        left = None if total is None else self._time_left.seconds(total - done)
        left = None if left is None else left + beside
        if self._bars is not None:
            self._draw(label, done, total, note, left)
            return
        now = time.monotonic()
        if self._write_line is not None and now - self._last_line >= self._seconds:
            self._last_line = now
            told = "" if left is None else f", {duration(left)} left"
            text = f"{label}: {_count(done, total)}{told} {note}".rstrip()
            self._write_line(text if line is None else line(left))

    def _draw(
        self, label: str, done: int, total: int | None, note: str, left: float | None
    ) -> None:
        shown = {"description": label, "total": total, "count": _count(done, total), "note": note}
        shown["left"] = "-:--" if left is None else duration(left)
        if self._task is None:
            self._task = self._bars.add_task(**shown)
        self._bars.update(self._task, completed=done, **shown)

    def print(self, text: str) -> None:
        """Write a line on stderr, above the bar."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, soft_wrap=True)
        elif sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)


def _kind_of(label: str) -> str:
    return re.sub(r"[0-9]+", "", label)


def _count(done: int, total: int | None) -> str:
    return f"{done}/{'?' if total is None else total}"


def progress_bars(*columns: Any, transient: bool = False) -> Any:
    """Return Rich's progress bars, drawn on stderr if that is a terminal.

    Lines for the screen go above them; a redirected stdout is left alone.
    """
    from rich.console import Console as RichConsole
    from rich.progress import Progress

    return Progress(
        *columns,
        console=RichConsole(stderr=True, highlight=False),
        disable=not is_terminal(sys.stderr),
        redirect_stdout=is_terminal(sys.stdout),
        transient=transient,
    )


def duration(seconds: float) -> str:
    """Return a time as m:ss, or h:mm:ss from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
