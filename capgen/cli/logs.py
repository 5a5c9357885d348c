"""`--log-level`, `--log-file` and `--log-format`: the log messages of capgen and its libraries.

A log file also holds what the user is told: failures, notes and the summary.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from capgen.addresses import SECRET_FIELD
from capgen.config import KEY_VARIABLE, SERVE_TOKEN_VARIABLE
from capgen.errors import ProtectedFileError
from capgen.file_types import kind_of_suffix
from capgen.overwriting import TEXT_OR_DATA, InputFiles, check_output, head_of, real_place
from capgen.paths import storage_errors

LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FORMATS = ("text", "json")
# The beginning of a log line.
_LOG_LINE = re.compile(
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ |"
    rb'\{"time": "\d{4}-\d\d-\d\dT[\d:.+]+", "level": "'
)
# Attributes of log records: further fields, and whether the user is told anyway.
FIELDS, TOLD = "capgen_fields", "capgen_told"
_messages = logging.getLogger("capgen.messages")
_messages.addHandler(logging.NullHandler())  # without a log file nothing more is printed
SECRETS = (
    *("HF_TOKEN", "HUGGINGFACE_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY"),
    KEY_VARIABLE,
    SERVE_TOKEN_VARIABLE,
)
# The Hub's tokens, and the tokens in requests.
TOKEN = re.compile(
    r"\bhf_[A-Za-z0-9]{8,}|(?<=Bearer )\S+"
    # Names and passwords in an address, and its signature.
    rf"|(?<=://)[^/\s@]+(?=@)|{SECRET_FIELD}[^&\s]+",
    re.IGNORECASE,
)


class LogFile(logging.FileHandler):
    """A log that stops when it cannot be written, tells the reason once, and lets work continue."""

    def __init__(self, file: Path, tell: Callable[[str], None]) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace")
        self._tell = tell

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        self.setLevel(logging.CRITICAL + 1)
        self._tell(f"the log {self.baseFilename} can no longer be written: {sys.exc_info()[1]}")

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def redacted(text: str) -> str:
    """Return a text without tokens."""
    for name in SECRETS:
        secret = os.environ.get(name, "")
        if len(secret) >= 8:
            text = text.replace(secret, "[token]")
    return TOKEN.sub("[token]", text)


class Redacting(logging.Formatter):
    """Replaces tokens in every part of a record."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class JsonLines(Redacting):
    """Writes a record as a line of JSON: time, level, logger, message, and what belongs to it."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": time,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        # Before they become JSON, whose quotes and backslashes would hide a token's end.
        clean = {k: redacted(v) if isinstance(v, str) else v for k, v in fields.items()}
        return json.dumps(clean, ensure_ascii=False)


def log_message(level: int, text: str, fields: Mapping[str, object]) -> None:
    """Add what the user is told to the log file, if there is one; a terminal has it already.

    Args:
        level: As of `logging`.
        text: The message.
        fields: What else lines of JSON have.
    """
    _messages.log(level, "%s", text, extra={FIELDS: dict(fields), TOLD: True})


def check_log_file(file: Path, arguments: Iterable[str]) -> None:
    """Check that the log is not a file that the command reads or writes.

    Every word of `arguments` that names a file counts as one. Files in a folder that it names are
    protected too, unless they are logs.
    """
    names = [name for word in arguments if (name := _possible_name(word))]
    place = real_place(file)
    # Number 0 is stdin, from which lists of images come.
    inputs = InputFiles([*names, 0])
    check_output(file, TEXT_OR_DATA, option="--log-file", inputs=inputs)
    head = head_of(file)
    inside = any(place.startswith(os.path.join(real_place(Path(name)), "")) for name in names)  # noqa: PTH118
    foreign = bool(head) and not _LOG_LINE.match(head)
    if foreign and (inside or kind_of_suffix(file.suffix) is not None):
        raise ProtectedFileError(
            f"--log-file {file} is not a log: nothing is appended to it",
            hint="Choose another name.",
        )
    from capgen.captioning.batch.journal import journal_path  # few commands have a log

    for name in names:
        if Path(name).name and real_place(journal_path(Path(name))) == place:
            raise ProtectedFileError(
                f"--log-file {file} is the journal of {name}", hint="Choose another name."
            )
    if any(real_place(Path(name)) == place for name in names):
        raise ProtectedFileError(
            f"--log-file {file} is also used by the command", hint="Choose another name."
        )


def _possible_name(word: str) -> str:
    """Return the part of a word of the command line that may be a file's name."""
    if word.startswith("--"):
        return word.partition("=")[2]
    return word[2:] if word.startswith("-") else word


def start_logging(
    level: str, file: Path | None, tell: Callable[[str], None], *, as_json: bool = False
) -> None:
    """Append log records to a file, or send them to stderr.

    Args:
        level: The lowest level.
        file: The file, or None.
        tell: Is called once if the file can no longer be written.
        as_json: Write lines of JSON.
    """
    if file is None:
        handler: logging.Handler = logging.StreamHandler()
        handler.addFilter(lambda record: not getattr(record, TOLD, False))
    else:
        check_output(file, TEXT_OR_DATA, option="--log-file")
        with storage_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            handler = LogFile(file, tell)
    handler.setFormatter(JsonLines() if as_json else Redacting(FORMAT))
    root = logging.getLogger()
    for old in [item for item in root.handlers if isinstance(item.formatter, Redacting)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
