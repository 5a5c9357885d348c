"""Addresses, and the credentials in them."""

from __future__ import annotations

import pytest

from capgen.addresses import without_credentials


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:secret@a.b/c.jpg", "https://a.b/c.jpg"),
        ("http://token@a.b:80/c@d.jpg?x=@", "http://a.b:80/c@d.jpg?x=@"),
        ("https://u:p@ss@a.b/", "https://a.b/"),
        ("https://a.b/c@d.jpg", "https://a.b/c@d.jpg"),
        ("https://a.b?mail=x@y", "https://a.b?mail=x@y"),
        ("me@home.jpg", "me@home.jpg"),
        ("https://u:pass/word@a.b/c.jpg", "https://a.b/c.jpg"),
        ("https://u:pass#word@a.b/c.jpg", "https://a.b/c.jpg"),
        ("https:\\\\u:p@a.b/c.jpg", "https:\\\\a.b/c.jpg"),
        ("https://a.b:8080/c@d.jpg", "https://a.b:8080/c@d.jpg"),
        ("https://[::1]:8080/c@d.jpg", "https://[::1]:8080/c@d.jpg"),
        ("https://a.b/c.jpg?sig=s3cret&w=10", "https://a.b/c.jpg?sig=***&w=10"),
        (
            "https://u:p@a.b/c?X-Amz-Date=1&X-Amz-Signature=ab%2F12#top",
            "https://a.b/c?X-Amz-Date=1&X-Amz-Signature=***#top",
        ),
        ("https://a.b/c?access_token=a b&Key=1", "https://a.b/c?access_token=***&Key=***"),
        ("https://a.b/token=1/c?w=key", "https://a.b/token=1/c?w=key"),
    ],
)
def test_credentials_are_cut_out(address: str, shown: str) -> None:
    assert without_credentials(address) == shown
