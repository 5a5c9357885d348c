"""Progress of downloads from the Hub: one bar, which goes when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def download_bar() -> Iterator[type[Any]]:
    """Show how much was received while the block lasts.

    Yields:
        What `snapshot_download` takes as its `tqdm_class`. It makes three bars of it: bytes
        received, bytes written, files done. The first is shown.
    """
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    made: list[Any] = []

    class ReceivedBytes(tqdm):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            if settings.get("desc") != "Downloading bytes":
                settings["disable"] = True
            super().__init__(*arguments, **{**settings, "leave": False})  # type: ignore[no-untyped-call]
            made.append(self)

    try:
        yield ReceivedBytes
    finally:
        for bar in made:
            bar.close()  # or it stands on the line of what is printed next
