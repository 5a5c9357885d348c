"""Addresses on the network."""

from __future__ import annotations

import re

# Names of query fields that give access, as in presigned addresses: `X-Amz-Signature`, `sig`,
# `access_token`, `apiKey`.
SECRET_FIELD = (
    r"(?<=[?&;])[\w.-]*(?:token|key|secret|password|passwd|pwd|sig|signature|credential|jwt)="
)
_SECRET = re.compile(f"({SECRET_FIELD})[^&;#]+", re.IGNORECASE)
# Longer than the letter of a drive.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# Here `NAME@HOST` is a container of an account.
_AZURE = ("abfs://", "abfss://", "az://")
_AUTHORITY = re.compile(r"(\w+:[/\\]+)([^/?#\\]*)")


def is_url(name: str) -> bool:
    """Whether a name is an address that capgen fetches."""
    return name[:8].lower().startswith(("http://", "https://"))


def is_stored(name: str) -> bool:
    """Whether a name is an address in a store that fsspec reads, as in `s3://bucket/photos/`."""
    return _SCHEME.match(name) is not None and not is_url(name)


def without_credentials(address: str) -> str:
    """Return an address without its user and password, and with *** for secrets in its query.

    Records, messages and logs name images by it.
    """
    return _SECRET.sub(r"\1***", _without_user(address))


def without_secrets(text: str, address: str) -> str:
    """Return a text about an address without the user and password that it has."""
    user, at, _ = address.split("/", 3)[2].rpartition("@") if "://" in address else ("", "", "")
    return text.replace(f"{user}{at}", "") if user else text


def _without_user(address: str) -> str:
    found = _AUTHORITY.match(address)
    if found is None:
        return address
    scheme, authority = found.groups()
    if scheme.lower().startswith(_AZURE) and ":" not in authority.partition("@")[0]:
        return address  # of a container, not of a user
    if "@" in authority:
        return scheme + address[len(scheme) + authority.rindex("@") + 1 :]
    # A password that should have been quoted ends the authority: `user:pass/word@host`.
    port = authority.rpartition("]")[2].partition(":")[2]
    if port and not port.isdigit() and "@" in address:
        return scheme + address.rpartition("@")[2]
    return address
