"""Settings of the service."""

from __future__ import annotations

import pytest

from capgen.config import ServeOptions
from capgen.errors import UsageError


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, local: bool) -> None:
    assert ServeOptions(host=host).is_local is local


@pytest.mark.parametrize("origin", ["*", "null", "example.org", "https://a.org/", "https://"])
def test_an_origin_is_scheme_and_host(origin: str) -> None:
    with pytest.raises(UsageError, match="--allow-origin"):
        ServeOptions(allow_origin=(origin,))
    assert ServeOptions(allow_origin=("https://a.org:8443",)).allow_origin
