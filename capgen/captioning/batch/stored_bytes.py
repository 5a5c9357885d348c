"""The bytes of an image in a store."""

from __future__ import annotations

from threading import Event

from capgen.captioning.abandoning import unless_stopped
from capgen.errors import ImageError
from capgen.storage.attempts import StoreError
from capgen.storage.reading import read_object

_CODES = {"missing": "missing", "permission": "permission", "passing": "unavailable"}


def read_stored(address: str, label: str, most: int, size: int | None, stop: Event) -> bytes:
    """Return an image's bytes.

    Args:
        address: The object.
        label: Its name for messages.
        most: Its largest size.
        size: Its size, or None if it is not known.
        stop: Set when it is no longer needed.

    Raises:
        ImageError: It cannot be read, with code `missing`, `permission`, `too_large`,
            `unavailable` if that may pass, or `download`.
        StoreError: The store asks who is reading, which holds for all images.
    """
    cancelled = ImageError(f"{label}: the reading was cancelled", code="download")
    if size is None or size <= most:
        try:
            data = unless_stopped(
                stop,
                lambda: read_object(address, most, stop=stop),
                cancelled=cancelled,
                thread="capgen-fetch",
            )
        except StoreError as error:
            if error.fault == "login":
                raise
            raise ImageError(error.message, code=_CODES.get(error.fault, "download")) from error
        if len(data) <= most:
            return data
    raise ImageError(f"{label}: larger than the limit of {most:,} bytes", code="too_large")
