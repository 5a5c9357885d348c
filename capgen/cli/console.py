"""Writes to the terminal: data to stdout, everything else to stderr; `live_bar` has progress."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

import typer

from capgen.cli.logs import log_message
from capgen.errors import StorageError, UsageError
from capgen.output.records import dump, dump_json
from capgen.output.tags import tags_field
from capgen.records import Caption, Record


class OutputClosedError(Exception):
    """The reader of the output has gone, as in `capgen caption *.jpg | head -1`."""


class Console:
    """Writes captions and records to stdout, notes (unless `quiet`) and errors to stderr.

    Text from users (file names, captions) is written as it is, never as markup.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        for stream in (sys.stdout, sys.stderr):
            _accept_any_name(stream)

    def data(self, line: str) -> None:
        """Write one line of output.

        Raises:
            OutputClosedError: Its reader has gone.
            StorageError: It cannot be written (a redirection to a full disk).
        """
        try:
            print(line, file=sys.stdout, flush=True)
        except OSError as error:
            sys.stdout = None  # type: ignore[assignment]  # the exit would flush it, and fail
            if _is_closed(error):
                raise OutputClosedError from error
            raise StorageError(f"Cannot write the output: {error.strerror}") from error

    def json(self, value: Any) -> None:
        self.data(dump_json(value, indent=2, ascii_only=not _is_utf8(sys.stdout)))

    def record(self, record: Record) -> None:
        """Write one record as a line of JSON."""
        self.data(dump(record, ascii_only=not _is_utf8(sys.stdout)))

    def show(self, renderable: Any, *, wrap: bool = True, width: int | None = None) -> None:
        """Write a Rich table, panel or text, with lines of at most `width`, the terminal's."""
        self.data(_drawn(renderable, sys.stdout, wrap=wrap, width=width))

    def note(self, text: str, **fields: object) -> None:
        """Tell the user something that is not output; `fields` are for a log of JSON lines."""
        self.log(text, **fields)
        if not self.quiet:
            self._message("note", "cyan", text)

    def error(
        self, message: str, hint: str = "", *, fields: Mapping[str, object] | None = None
    ) -> None:
        """Report an error and what to do about it; `fields` are for a log of JSON lines."""
        self.log_error(message, hint, fields)
        self._message("error", "bold red", message)
        if hint:
            self._message("hint", "dim", hint)

    def log(self, text: str, **fields: object) -> None:
        """Add something to the log file only."""
        log_message(logging.INFO, text, fields)

    def log_error(
        self, message: str, hint: str = "", fields: Mapping[str, object] | None = None
    ) -> None:
        """Add an error to the log file only."""
        hints = {"hint": hint} if hint else {}
        log_message(logging.ERROR, message, {**(fields or {}), **hints})

    def _message(self, kind: str, style: str, text: str) -> None:
        if sys.stderr is None:
            return
        line = f"{kind}: {text}"
        if sys.stderr.isatty():
            from rich.text import Text

            assembled = Text.assemble((f"{kind}: ", style), text)
            line = _drawn(assembled, sys.stderr, wrap=False)
        # Looked up now: while a progress bar is drawn, sys.stderr writes above it.
        print(line, file=sys.stderr)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; None, as without a console on Windows, is not."""
    return stream is not None and stream.isatty()


def listed(items: Sequence[str]) -> str:
    """Return items as text, as in `a, b and c`."""
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last


def counted(count: int, what: str) -> str:
    """Return a number of things, as in `1 part` or `2,000 parts`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def confirm_deletion(place: Path | str) -> None:
    """Ask whether to delete a folder, or what text names; abort unless the answer is yes."""
    if not is_terminal(sys.stdin):
        raise UsageError(f"Cannot ask whether to delete {place}: no terminal", hint="Add --yes.")
    typer.confirm(f"Delete {place}?", abort=True, err=True)


def caption_fields(caption: Caption, scores: bool, tags: Sequence[str] | None = None) -> str:
    """Return a caption, its confidence and its score, and tags, separated by tabs.

    Args:
        caption: The caption.
        scores: Whether to give confidence and score; - for none.
        tags: Tags of the image, or None to give none.
    """
    fields = [caption.text]
    if scores:
        numbers = (caption.confidence, caption.score)
        fields += ["-" if number is None else f"{number:.3f}" for number in numbers]
    if tags is not None:
        fields.append(tags_field(tags))
    return "\t".join(fields)


def _drawn(renderable: Any, stream: TextIO | None, *, wrap: bool, width: int | None = None) -> str:
    """Return what Rich draws for a stream, without the last newline."""
    from rich.console import Console as RichConsole

    page = _Page(getattr(stream, "encoding", None) or "utf-8")
    screen = RichConsole(
        file=page, force_terminal=is_terminal(stream), highlight=False, width=width
    )
    if screen.legacy_windows:  # an old window, which shows the codes of colours as they are
        screen = RichConsole(file=page, color_system=None, highlight=False, width=width)
    screen.print(renderable, soft_wrap=not wrap)
    return page.getvalue().rstrip("\n")


class _Page(StringIO):
    """What Rich draws, limited to the lines and corners that an encoding has."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


def _is_closed(error: OSError) -> bool:
    # Windows calls a closed pipe an invalid argument (bugs.python.org/issue30418).
    closed = isinstance(error, BrokenPipeError)
    return closed or (sys.platform == "win32" and error.errno == errno.EINVAL)


def _is_utf8(stream: TextIO | None) -> bool:
    encoding = getattr(stream, "encoding", None) or ""
    return encoding.lower().replace("-", "") == "utf8"


def _accept_any_name(stream: TextIO | None) -> None:
    """Let a stream print file names that are not valid text, instead of failing on them."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="surrogateescape" if _is_utf8(stream) else "backslashreplace")
