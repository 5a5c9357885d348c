"""Options of requests: names, types, and what they say over the service's own."""

from __future__ import annotations

from typing import Any

import pytest

from capgen import Captioner
from capgen.config import DecodeOptions, PromptOptions, ServeOptions
from capgen.errors import UsageError
from capgen.service.answers import without_flags
from capgen.service.asked import RequestOptions, Resolver
from capgen.service.caps import Caps

DEFAULTS = RequestOptions(decoding=DecodeOptions(beams=2, max_words=9), prompt=PromptOptions())


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"beams": 5}, "beams", 5),
        ({"beams": ["5"]}, "beams", 5),
        ({"beams": None}, "beams", None),
        ({"confidence": "true"}, "confidence", True),
        ({"confidence": True}, "confidence", True),
        ({"length_penalty": 1}, "length_penalty", 1.0),
        ({}, "max_words", 9),
    ],
)
def test_values_of_json_and_of_forms(given: dict[str, Any], name: str, value: Any) -> None:
    assert getattr(DEFAULTS.with_given(given).decoding, name) == value


def test_prompts_are_text_as_it_is() -> None:
    assert DEFAULTS.with_given({"prompt": "none"}).prompt.prompt == "none"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"beem": 5}, "beem"),
        ({"beams": "many"}, "whole number"),
        ({"beams": 5.5}, "whole number"),
        ({"beams": True}, "whole number"),
        ({"beams": 1000}, "between 1 and 64"),
        ({"beams": ["1", "2"]}, "2 times"),
        ({"beams": {}}, "object"),
        ({"beams": [1]}, "list of texts"),
        ({"prefix": "x" * 30_000}, "30,000"),
        ({"model": "other"}, "model"),
        ({"allow_private": True}, "allow_private"),
        ({"replace": "a=b"}, "not taken from requests"),
        ({"replace": ["a=b", "c=d"]}, "not taken from requests"),
        ({"avoid_words": "\ud800"}, "not valid text"),
        ({"prompt": "\ud800"}, "not valid text"),
        ({"beams": 10**4000}, "beams is"),
    ],
)
def test_what_is_no_option_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DEFAULTS.with_given(given)


def test_messages_name_options_as_requests_do() -> None:
    assert without_flags("--max-words is 0; or --beams") == "max_words is 0; or beams"


def test_same_options_are_resolved_once(bundled: Captioner) -> None:
    resolver = Resolver(bundled, DEFAULTS, "mini", 16, Caps(ServeOptions(), DEFAULTS.decoding))
    other = DEFAULTS.with_given({"beams": 1})
    assert resolver.resolve(other) is resolver.resolve(DEFAULTS.with_given({"beams": 1}))
    assert resolver.resolve(other) is not resolver.resolve(DEFAULTS)
    prompted = resolver.resolve(DEFAULTS.with_given({"prompt": "a dog"}))
    assert prompted.captioner.runtime is bundled.runtime
    for beams in range(1, 17):
        for words in range(3, 11):
            resolver.resolve(DEFAULTS.with_given({"beams": beams, "max_words": words}))
    assert resolver.resolve(DEFAULTS.with_given({"beams": 1})) is not prompted, "it is bounded"
