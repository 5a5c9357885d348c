"""Requests, and what a server's refusals teach about them."""

from __future__ import annotations

from typing import Any

import pytest

from capgen.captioning.endpoint.requests import Dialect, messages
from capgen.captioning.runtimes.base import ModelInput
from capgen.config import DecodeOptions, resolve_served

GREEDY = resolve_served(DecodeOptions())
SAMPLED = resolve_served(DecodeOptions(temperature=0.5, num_captions=3))


def sent(dialect: Dialect, settings: Any = GREEDY) -> dict[str, Any]:
    return dialect.payload("tiny", [], settings, 0)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Unrecognized request argument supplied: logprobs", "logprobs"),
        ("'top_logprobs' is not supported", "logprobs"),
        ("Unsupported value: 'temperature' does not support 0 with this model.", "temperature"),
    ],
)
def test_what_nobody_asked_for_is_left_out(message: str, name: str) -> None:
    dialect = Dialect()
    assert name in sent(dialect)
    assert dialect.learn(message, sent(dialect))
    assert name not in sent(dialect)
    assert not dialect.learn(message, sent(dialect))  # no endless asking


def test_a_newer_name_of_the_length_is_used() -> None:
    dialect = Dialect()
    message = "Use 'max_completion_tokens' instead of 'max_tokens'."
    assert dialect.learn(message, sent(dialect))
    assert "max_tokens" not in sent(dialect)
    assert sent(dialect)["max_completion_tokens"] == 512
    assert not dialect.learn(message, sent(dialect))


def test_a_temperature_that_was_asked_for_is_never_dropped() -> None:
    dialect = Dialect()
    assert not dialect.learn("'temperature' is not supported", sent(dialect, SAMPLED))
    assert dialect.learn("'temperature' is not supported", sent(dialect))
    assert sent(dialect, SAMPLED)["temperature"] == 0.5


def test_several_at_once_are_asked_for_one_by_one_if_need_be() -> None:
    dialect = Dialect()
    assert sent(dialect, SAMPLED)["n"] == 3
    assert dialect.learn("'n' must be 1", sent(dialect, SAMPLED))
    assert "n" not in sent(dialect, SAMPLED)


@pytest.mark.parametrize("message", ["", "the image is not valid", "no such thing as a banner"])
def test_other_refusals_teach_nothing(message: str) -> None:
    dialect = Dialect()
    assert not dialect.learn(message, sent(dialect, SAMPLED))


def test_the_kind_of_an_image_is_told() -> None:
    for content, kind in ((b"\x89PNG\r\n", "png"), (b"\xff\xd8\xff", "jpeg")):
        (message,) = messages(ModelInput(content, "What is it?"), "")
        url = message["content"][0]["image_url"]["url"]
        assert url.startswith(f"data:image/{kind};base64,")
