"""The address of a model server: checked, with its credentials apart."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from capgen.addresses import is_url, without_credentials
from capgen.captioning.public_addresses import is_public
from capgen.config import KEY_VARIABLE
from capgen.errors import EndpointError, NetworkError, UsageError

_EXAMPLE = "As in --endpoint http://127.0.0.1:8080/v1"


@dataclass(frozen=True)
class Address:
    """Where a model server is.

    Attributes:
        shown: The address without credentials, for messages and records.
        secure: Whether connections are encrypted.
        host: Its host.
        port: Its port.
        path: The path before `/chat/completions`, as in `/v1`.
        authorization: What the `Authorization` header says, or "". Never shown or recorded.
    """

    shown: str
    secure: bool
    host: str
    port: int
    path: str
    authorization: str = field(default="", repr=False)

    @property
    def origin(self) -> tuple[bool, str, int]:
        """What a redirect must not change."""
        return self.secure, self.host, self.port

    def resolve(self) -> list[str]:
        """Return the IP addresses of the host.

        Raises:
            NetworkError: It has none.
        """
        try:
            entries = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NetworkError(
                f"{self.shown}: there is no host {self.host} ({error.strerror})", hint=_EXAMPLE
            ) from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in entries))

    def public(self) -> str:
        """Return a public IP address of the host, or "" if it is here or in a private network.

        Where a proxy makes the connections, the host need not have an address here.

        Raises:
            NetworkError: The host has no address.
        """
        if self.secure and urllib.request.getproxies().get("https"):
            with contextlib.suppress(NetworkError):
                return next(filter(is_public, self.resolve()), "")
            return self.host
        return next((address for address in self.resolve() if is_public(address)), "")

    def check_key(self, peer: str) -> None:
        """Refuse to send the access key unencrypted to a public IP address.

        Raises:
            EndpointError: It would be.
        """
        if self.authorization and not self.secure and is_public(peer):
            raise EndpointError(
                f"{self.shown} is public ({peer}) and not encrypted: the access key is not sent",
                hint=f"Use an https address, or unset {KEY_VARIABLE}.",
            )


def read_address(text: str) -> Address:
    """Read an address, and the access key of the environment.

    `/chat/completions` at its end is left out. A user and password in the address are sent to its
    host if there is no key.

    Raises:
        UsageError: It is not an http or https address, or the key has invalid characters.
    """
    shown = without_credentials(text).partition("?")[0].partition("#")[0].rstrip("/")
    shown = shown.removesuffix("/chat/completions").rstrip("/")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        path = urlsplit(shown).path.rstrip("/")
    except ValueError:
        host, port, path = "", None, ""
    if not is_url(text) or not host or port == 0 or not _is_plain(shown):
        raise UsageError(f"--endpoint is {shown!r}, which is not an address", hint=_EXAMPLE)
    secure = parts.scheme.lower() == "https"
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not _is_plain(key):
        raise UsageError(f"The key in {KEY_VARIABLE} has spaces or other invalid characters")
    authorization = f"Bearer {key}" if key else ""
    if not key and parts.username is not None:
        plain = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(plain.encode()).decode('ascii')}"
    port = port or (443 if secure else 80)
    return Address(shown, secure, host, port, path, authorization)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
