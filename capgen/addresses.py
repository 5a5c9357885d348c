"""Addresses on the network."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"^(\w+://)[^/?#\\]*@")


def is_url(name: str) -> bool:
    """Whether a name is an address that capgen fetches."""
    return name[:8].lower().startswith(("http://", "https://"))


def without_credentials(address: str) -> str:
    """Return an address without the user and password that it may hold.

    Records, messages and logs name images by it.
    """
    return _CREDENTIALS.sub(r"\1", address)
