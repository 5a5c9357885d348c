"""The sources of a known data set's file: mirrors, the Hub, sizes, checksums."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from capgen.data.download.catalog import RemoteFile
from capgen.data.download.http import (
    TransientError,
    content_length,
    network_faults,
    request,
)
from capgen.errors import NetworkError

logger = logging.getLogger(__name__)

MIRROR_VARIABLE = "CAPGEN_MIRROR"
HUB_VARIABLE = "HF_ENDPOINT"
SUMS_FILE = "SHA256SUMS"

_T = TypeVar("_T")
_HUB = "hub://datasets/"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUMS_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One source of one file.

    Attributes:
        url: Its address.
        checksum: `md5:HEX`, `sha256:HEX` or empty.
        binding: A file with another checksum is wrong. False at a mirror that the user chose
            and that publishes no checksums: it may hold a repacked release.
        token: Bearer token for the server, if it needs one.
    """

    url: str
    checksum: str = ""
    binding: bool = True
    token: str | None = None


def chosen_mirrors(asked: Sequence[str]) -> tuple[str, ...]:
    """Return the mirrors to use: those asked for, else those of the environment, if any."""
    mirrors = tuple(asked or os.environ.get(MIRROR_VARIABLE, "").split())
    source = "asked for" if asked else f"from {MIRROR_VARIABLE}"
    logger.debug("mirrors: %s", f"{' '.join(mirrors)} ({source})" if mirrors else "none")
    return mirrors


def is_official(files: Sequence[RemoteFile], mirrors: Sequence[str]) -> bool:
    """Whether files come from their publishers, and so must be complete."""
    from_hub = any(place.url.startswith(_HUB) for file in files for place in file.locations)
    return not mirrors and not (from_hub and os.environ.get(HUB_VARIABLE))


def offers(file: RemoteFile, mirrors: Sequence[str], *, timeout: float) -> list[Offer]:
    """Return the sources of a file, best first; mirrors replace the published ones."""
    official = next((place.checksum for place in file.locations if place.checksum), "")
    if mirrors:
        result = [_mirror_offer(file.name, mirror, official, timeout) for mirror in mirrors]
    else:
        result = [
            _hub_offer(place.url, timeout)
            if place.url.startswith(_HUB)
            else Offer(url=place.url, checksum=place.checksum)
            for place in file.locations
        ]
    for offer in result:
        logger.debug("%s: %s, checksum %s", file.name, offer.url, offer.checksum or "unknown")
    return result


def size_of(offer: Offer, *, timeout: float) -> int | None:
    """Return the file's size, or None if the server does not say now."""
    try:
        response = request(offer.url, method="HEAD", token=offer.token, timeout=timeout)
    except (TransientError, NetworkError):
        return None  # only for the check of disk space; fetching reports the fault
    with response:
        return content_length(response.headers)


def _mirror_offer(name: str, mirror: str, official: str, timeout: float) -> Offer:
    base = mirror.rstrip("/")
    url = f"{base}/{name}"
    published = _published_sums(f"{base}/{SUMS_FILE}", timeout).get(name)
    if published:
        return Offer(url=url, checksum=f"sha256:{published}")
    return Offer(url=url, checksum=official, binding=False)


def _published_sums(url: str, timeout: float) -> dict[str, str]:
    def fetch() -> bytes:
        with request(url, timeout=timeout) as response, network_faults(url):
            return response.read(1 << 20)

    try:
        text = _thrice(fetch).decode("utf-8", errors="replace")
    except (TransientError, NetworkError):
        return {}  # most mirrors publish none
    lines = (_SUMS_LINE.fullmatch(line.strip()) for line in text.split("\n"))
    return {line[2]: line[1] for line in lines if line}


def _hub_offer(address: str, timeout: float) -> Offer:
    """Resolve `hub://datasets/OWNER/NAME/FILE`; the Hub publishes the SHA-256 of large files."""
    from huggingface_hub import constants, get_token, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise NetworkError(f"{address} is on the Hugging Face Hub, and HF_HUB_OFFLINE is set")
    owner, name, file = address.removeprefix(_HUB).split("/", 2)
    endpoint = os.environ.get(HUB_VARIABLE, "").rstrip("/") or None
    url = hf_hub_url(f"{owner}/{name}", file, repo_type="dataset", endpoint=endpoint)
    token = get_token() or None

    def fetch() -> str:
        with request(url, method="HEAD", token=token, timeout=timeout, follow=False) as response:
            return response.headers.get("X-Linked-Etag") or response.headers.get("ETag") or ""

    try:
        etag = _thrice(fetch)
    except (TransientError, NetworkError):
        return Offer(url=url, token=token)
    digest = etag.removeprefix("W/").strip('"')
    checksum = f"sha256:{digest}" if _SHA256.fullmatch(digest) else ""
    return Offer(url=url, checksum=checksum, token=token)


def _thrice(ask: Callable[[], _T]) -> _T:
    """Ask up to three times: no checksum should be lost to a hiccup."""
    for _ in range(2):
        try:
            return ask()
        except TransientError:
            time.sleep(0.2)
    return ask()
