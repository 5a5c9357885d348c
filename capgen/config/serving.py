"""Settings of the HTTP service for programs."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from capgen.config.fields import check_ranges, setting
from capgen.errors import UsageError

# The token that requests must have: only the environment or a file has it, never a command line.
SERVE_TOKEN_VARIABLE = "CAPGEN_SERVE_TOKEN"


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How the service is reached, and how much it takes on.

    Raises:
        UsageError: A value is out of its range, or an origin is not one.
    """

    PANEL: ClassVar[str] = "Service"

    host: str = setting(
        "127.0.0.1",
        "Address to listen on. Beyond this machine (0.0.0.0, for example) requests need a token: "
        f"{SERVE_TOKEN_VARIABLE} or --token-file.",
    )
    port: int = setting(8000, "Port to listen on; 0 takes a free one.", low=0, high=65535)
    token_file: Path | None = setting(  # noqa: RUF009
        None, "File with the token that requests must have, as Authorization: Bearer TOKEN."
    )
    allow_origin: tuple[str, ...] = setting(
        (), "Let pages of this origin ask, as in https://example.org; may be repeated."
    )
    name: str | None = setting(
        None, "Name of the model in answers. Default: its own, or the last part of its folder's."
    )
    download: bool = setting(True, "Fetch images from the addresses that requests name.")
    max_body: int = setting(32 << 20, "Refuse requests larger than this, in bytes.", low=1024)
    queue: int = setting(
        128, "Images that are worked on or wait at the same time; more get 429.", low=1, high=65536
    )
    most_beams: int = setting(
        16,
        "Most beams, and most captions of an image, that a request may ask for.",
        low=1,
        high=64,
    )
    most_tokens: int = setting(
        512, "Longest caption that a request may ask for, in tokens.", low=2, high=4096
    )
    connections: int = setting(512, "Connections at the same time.", low=1, high=65536)
    seconds_to_send: float = setting(
        30.0, "Seconds that a request may take to arrive.", low=0.1, high=3600.0
    )
    seconds_to_answer: float = setting(
        120.0, "Seconds that an answer may take; then 504.", low=0.1, high=3600.0
    )
    seconds_to_stop: float = setting(
        30.0, "Seconds that requests in progress have when the service stops.", low=0.0, high=3600.0
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        for origin in self.allow_origin:
            parts = urlsplit(origin)
            whole = f"{parts.scheme}://{parts.netloc}"
            if parts.scheme not in ("http", "https") or not parts.netloc or origin != whole:
                raise UsageError(
                    f"--allow-origin is {origin!r}; it must be an origin",
                    hint="Write scheme and host without a path: https://example.org",
                )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the service."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False
