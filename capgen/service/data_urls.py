"""Images in requests: `data:` URLs, and addresses to fetch."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes

from capgen.addresses import is_url
from capgen.service.answers import RequestError
from capgen.service.captioning import Incoming

_LONGEST_ADDRESS = 8192


def image_at(address: object) -> Incoming:
    """Return the image at a `data:`, `http:` or `https:` address.

    Raises:
        RequestError: It is no such address, or what it holds is damaged.
    """
    if not isinstance(address, str):
        raise RequestError(400, "The address of an image must be text")
    if address[:5].lower() == "data:":
        return Incoming(data=_data(address))
    if not is_url(address) or len(address) > _LONGEST_ADDRESS:
        raise RequestError(400, "An image's address begins with https://, http:// or data:")
    return Incoming(address=address)


def _data(address: str) -> bytes:
    """Return what a `data:` URL (RFC 2397) holds."""
    head, comma, content = address.partition(",")
    if not comma:
        raise RequestError(400, "The data: URL has no comma")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(content)
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(400, "The data: URL is not valid base64") from error
