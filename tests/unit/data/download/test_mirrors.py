"""Which places a file of a data set is looked for at, and what the log says of that."""

from __future__ import annotations

import logging

import pytest

from capgen.data.download.catalog import DATASETS
from capgen.data.download.mirrors import MIRROR_VARIABLE, chosen_mirrors, offers


def test_mirrors_asked_for_come_before_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "http://a http://b")
    with caplog.at_level(logging.DEBUG, "capgen"):
        assert chosen_mirrors(["http://c"]) == ("http://c",)
        assert chosen_mirrors([]) == ("http://a", "http://b")
        monkeypatch.delenv(MIRROR_VARIABLE)
        assert chosen_mirrors([]) == ()
    assert caplog.messages == [
        "mirrors: http://c (asked for)",
        "mirrors: http://a http://b (from CAPGEN_MIRROR)",
        "mirrors: none",
    ]


def test_a_mirror_takes_the_place_of_the_sources(caplog: pytest.LogCaptureFixture) -> None:
    file = DATASETS["flickr8k"].files[0]
    with caplog.at_level(logging.DEBUG, "capgen"):
        (offer,) = offers(file, ["http://127.0.0.1:9/"], timeout=0.5)
    assert offer.url == f"http://127.0.0.1:9/{file.name}"
    assert not offer.binding
    assert f"{file.name}: {offer.url}, checksum" in caplog.text
