"""The progress bar of downloads from the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def download_bar() -> Iterator[type[Any]]:
    """Show the bytes received while the block runs, and clear the bar afterwards.

    Yields:
        The `tqdm_class` for `snapshot_download`, which makes three bars from it: bytes
        received, bytes written, files done. Only the first is shown.
    """
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    bars: list[Any] = []

    class ReceivedBytes(tqdm):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            if settings.get("desc") != "Downloading bytes":
                settings["disable"] = True
            super().__init__(*arguments, **{**settings, "leave": False})  # type: ignore[no-untyped-call]
            bars.append(self)

    try:
        yield ReceivedBytes
    finally:
        for bar in bars:
            bar.close()  # otherwise the next output would start on the bar's line
