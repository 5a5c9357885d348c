"""Addresses of servers, and where the access key may go."""

from __future__ import annotations

import base64
import socket

import pytest

from capgen.captioning.endpoint.address import read_address
from capgen.config import KEY_VARIABLE
from capgen.errors import EndpointError, NetworkError, UsageError


@pytest.mark.parametrize(
    ("text", "shown", "path"),
    [
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1", "/v1"),
        ("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1", "/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", ""),
        ("https://host/a/v1/chat/completions", "https://host/a/v1", "/a/v1"),
        ("http://me:pass@host/v1", "http://host/v1", "/v1"),
        ("http://host/v1?key=secret", "http://host/v1", "/v1"),
        ("http://[::1]:80/v1", "http://[::1]:80/v1", "/v1"),
    ],
)
def test_addresses(text: str, shown: str, path: str) -> None:
    address = read_address(text)
    assert (address.shown, address.path) == (shown, path)


@pytest.mark.parametrize(
    "text",
    [
        *("", "127.0.0.1:8080", "ftp://host/v1", "http://", "http://host:0/v1", "http://host:x/v1"),
        *("http://ho st/v1", "http://host/v1\nX: y", "http://[::1/v1", "file:///etc/passwd"),
    ],
)
def test_what_is_not_an_address(text: str) -> None:
    with pytest.raises(UsageError, match="--endpoint"):
        read_address(text)


def test_the_key_is_the_environments_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, " sk-secret ")
    address = read_address("http://user:password@127.0.0.1/v1")
    assert address.authorization == "Bearer sk-secret"
    assert "secret" not in repr(address)
    assert "password" not in repr(address)


def test_without_a_key_the_addresss_password_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    sent = read_address("http://user:p%40ss@127.0.0.1/v1").authorization
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"user:p@ss"
    assert read_address("http://127.0.0.1/v1").authorization == ""


def test_a_key_with_a_line_break_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret\r\nX-Evil: 1")
    with pytest.raises(UsageError) as caught:
        read_address("http://127.0.0.1/v1")
    assert "secret" not in str(caught.value)


def test_a_key_is_not_sent_unencrypted_to_a_public_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    plain, secure = read_address("http://host/v1"), read_address("https://host/v1")
    for private in ("127.0.0.1", "192.168.1.7", "10.0.0.1", "::1", "fd00::1"):
        plain.check_key(private)
    secure.check_key("8.8.8.8")
    with pytest.raises(EndpointError, match="not encrypted"):
        plain.check_key("8.8.8.8")
    monkeypatch.delenv(KEY_VARIABLE)
    read_address("http://host/v1").check_key("8.8.8.8")


def _resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    entries = [(0, 0, 0, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)


def test_an_address_is_public_if_any_of_its_hosts_addresses_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    _resolving(monkeypatch, "192.168.0.5")
    assert read_address("http://nas/v1").public() == ""
    _resolving(monkeypatch, "192.168.0.5", "8.8.8.8")
    assert read_address("http://nas/v1").public() == "8.8.8.8"


def test_behind_a_proxy_a_host_without_an_address_here_is_public(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert read_address("https://api.example/v1").public() == "api.example"
    monkeypatch.delenv("https_proxy")
    with pytest.raises(NetworkError, match="no host"):
        read_address("https://api.example/v1").public()
