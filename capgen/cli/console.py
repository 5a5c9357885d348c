"""The one place that writes to the terminal: data to stdout, everything else to stderr."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

import typer

from capgen.errors import StorageError, UsageError
from capgen.output.records import dump, dump_json
from capgen.records import Caption, Record


class OutputClosedError(Exception):
    """Nobody reads the output any more, as in `capgen caption *.jpg | head -1`."""


class Console:
    """Writes captions and records to stdout, notes and errors to stderr.

    Text from users (file names, captions) is written as it is: never as markup.

    Args:
        quiet: Leave out notes.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        for stream in (sys.stdout, sys.stderr):
            _accept_any_name(stream)

    def data(self, line: str) -> None:
        """Write one line of output."""
        try:
            print(line, file=sys.stdout, flush=True)
        except OSError as error:
            _forget_output()
            if _nobody_reads(error):
                raise OutputClosedError from error
            raise StorageError(f"Cannot write the output: {error.strerror}") from error

    def json(self, value: Any) -> None:
        """Write a JSON document as output."""
        self.data(dump_json(value, indent=2, ascii_only=not _is_utf8(sys.stdout)))

    def record(self, record: Record) -> None:
        """Write one record as a line of JSON."""
        self.data(dump(record, ascii_only=not _is_utf8(sys.stdout)))

    def show(self, renderable: Any, *, wrap: bool = True) -> None:
        """Write a Rich table, panel or text as output.

        Args:
            renderable: What to write.
            wrap: Break lines at the width of the terminal.
        """
        self.data(_drawn(renderable, sys.stdout, wrap=wrap))

    def note(self, text: str) -> None:
        """Tell the user something that is not output."""
        if not self.quiet:
            self._message("note", "cyan", text)

    def error(self, message: str, hint: str = "") -> None:
        """Report an error and what to do about it."""
        self._message("error", "bold red", message)
        if hint:
            self._message("hint", "dim", hint)

    def _message(self, kind: str, style: str, text: str) -> None:
        if sys.stderr is None:
            return
        line = f"{kind}: {text}"
        if sys.stderr.isatty():
            from rich.text import Text

            assembled = Text.assemble((f"{kind}: ", style), text)
            line = _drawn(assembled, sys.stderr, wrap=False)
        # Through sys.stderr as it is now: while there is a bar, lines go above it.
        print(line, file=sys.stderr)

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a progress bar on stderr while it is a terminal and there is more than one item.

        Yields:
            A function to call after each item.
        """
        if total < 2 or sys.stderr is None or not sys.stderr.isatty():
            yield lambda: None
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), transient=True, **bar_place()) as bar:
            task = bar.add_task(label, total=total)
            yield lambda: bar.advance(task)


def bar_place() -> dict[str, Any]:
    """Return where Rich's progress bars are drawn: on stderr.

    Lines for the screen go above them; a stdout that leads elsewhere is left alone.
    """
    from rich.console import Console as RichConsole

    return {
        "console": RichConsole(stderr=True, highlight=False),
        "redirect_stdout": sys.stdout is not None and sys.stdout.isatty(),
    }


def _drawn(renderable: Any, stream: TextIO | None, *, wrap: bool) -> str:
    """Return what Rich makes of something for a stream, without the last line's end."""
    from rich.console import Console as RichConsole

    page = _Page(getattr(stream, "encoding", None) or "utf-8")
    on_screen = stream is not None and stream.isatty()
    screen = RichConsole(file=page, force_terminal=on_screen, highlight=False)
    if screen.legacy_windows:  # an old window, which shows the codes of colours as they are
        screen = RichConsole(file=page, color_system=None, highlight=False)
    screen.print(renderable, soft_wrap=not wrap)
    return page.getvalue().rstrip("\n")


class _Page(StringIO):
    """What Rich draws, with the lines and corners that an encoding has."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


def confirm_deletion(place: Path) -> None:
    """Ask whether to delete a folder."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"Nobody can be asked whether to delete {place}", hint="Add --yes.")
    typer.confirm(f"Delete {place}?", abort=True, err=True)


def with_scores(caption: Caption) -> str:
    """Return a caption, its confidence and its score with tabs between; - for no confidence."""
    sure = "-" if caption.confidence is None else f"{caption.confidence:.3f}"
    return f"{caption.text}\t{sure}\t{caption.score:.3f}"


def _forget_output() -> None:
    """Leave nothing to be flushed at the end into what cannot be written."""
    sys.stdout = None  # type: ignore[assignment]


def _nobody_reads(error: OSError) -> bool:
    # Windows calls a closed pipe an invalid argument (bugs.python.org/issue30418).
    closed = isinstance(error, BrokenPipeError)
    return closed or (sys.platform == "win32" and error.errno == errno.EINVAL)


def _is_utf8(stream: TextIO | None) -> bool:
    encoding = getattr(stream, "encoding", None) or ""
    return encoding.lower().replace("-", "") == "utf8"


def _accept_any_name(stream: TextIO | None) -> None:
    """Let a stream print file names that are no valid text, instead of failing on them."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None or stream is None:
        return
    reconfigure(errors="surrogateescape" if _is_utf8(stream) else "backslashreplace")
