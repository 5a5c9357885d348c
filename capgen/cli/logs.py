"""`--log-level` and `--log-file`: what the libraries and capgen write down while they work."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from capgen.paths import storage_errors

LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
SECRETS = ("HF_TOKEN", "HUGGINGFACE_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY")
# What the Hub's tokens look like, and an authorisation's header.
TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}|(?<=Bearer )\S+", re.IGNORECASE)


class LogFile(logging.FileHandler):
    """A log that is given up when it cannot be written: the work goes on.

    Args:
        file: Appended to.
        tell: Told why, once.
    """

    def __init__(self, file: Path, tell: Callable[[str], None]) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace")
        self._tell = tell

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say so, and write no more."""
        self.setLevel(logging.CRITICAL + 1)
        self._tell(f"the log {self.baseFilename} cannot be written any more: {sys.exc_info()[1]}")

    def close(self) -> None:
        """Close the file, whatever becomes of its last lines."""
        with suppress(OSError):
            super().close()


class Redacting(logging.Formatter):
    """Formats records without tokens, in whatever part of the record they are."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with each token replaced."""
        text = super().format(record)
        for name in SECRETS:
            secret = os.environ.get(name, "")
            if len(secret) >= 8:
                text = text.replace(secret, "[token]")
        return TOKEN.sub("[token]", text)


def start_logging(level: str, file: Path | None, tell: Callable[[str], None]) -> None:
    """Send log records to stderr or to a file.

    Args:
        level: One of `LEVELS`.
        file: Appended to; None is stderr.
        tell: Told, once, if the file cannot be written any more.

    Raises:
        StorageError: The file cannot be written.
    """
    if file is None:
        handler: logging.Handler = logging.StreamHandler()
    else:
        with storage_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            handler = LogFile(file, tell)
    handler.setFormatter(Redacting(FORMAT))
    root = logging.getLogger()
    for old in [item for item in root.handlers if isinstance(item.formatter, Redacting)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
