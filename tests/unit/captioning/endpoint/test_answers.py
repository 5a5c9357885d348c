"""Answers of the protocol: what is read of them, and what is not believed."""

from __future__ import annotations

from typing import Any

import pytest

from capgen.captioning.endpoint.answers import error_text, read_answer
from capgen.records import Usage
from tests.chat_server import answer


def test_captions_tokens_and_usage() -> None:
    read = read_answer(answer("a dog runs", "a cat", tokens=True))
    assert read is not None
    assert [choice.text for choice in read.choices] == ["a dog runs", "a cat"]
    assert [token.text for token in read.choices[0].tokens] == ["a", " dog", " runs"]
    assert read.usage == Usage(prompt_tokens=100, completion_tokens=20)


@pytest.mark.parametrize(
    "content",
    [
        *(None, 3, "text", [], {}, {"choices": []}, {"choices": "x"}, {"choices": [3]}),
        *({"choices": [{}]}, {"choices": [{"message": "x"}]}),
        {"choices": [{"message": {"content": 3}}]},
    ],
)
def test_what_is_no_answer(content: Any) -> None:
    assert read_answer(content) is None


def test_content_in_parts() -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "other"}, {"type": "text", "text": "dog"}, 3]
    read = read_answer({"choices": [{"message": {"content": parts}}]})
    assert read is not None
    assert read.choices[0].text == "a dog"


def test_reasoning_is_left_out_of_text_and_tokens() -> None:
    content = answer("<think>hm dog</think> a dog", tokens=True)
    content["choices"][0]["message"]["reasoning_content"] = "hm"
    read = read_answer(content)
    assert read is not None
    assert read.choices[0].text == "a dog"
    assert [token.text for token in read.choices[0].tokens] == [" a", " dog"]


@pytest.mark.parametrize(
    "tokens",
    [
        *(None, {}, {"content": None}, {"content": 3}, {"content": [3]}),
        {"content": [{"token": "a dog"}]},
        {"content": [{"token": "a dog", "logprob": True}]},
        {"content": [{"token": "a dog", "logprob": float("nan")}]},
        {"content": [{"token": "a dog", "logprob": -1.0, "bytes": [300]}]},
        {"content": [{"token": "another text", "logprob": -1.0}]},
    ],
)
def test_tokens_that_do_not_make_up_the_text_are_not_used(tokens: Any) -> None:
    content = answer("a dog")
    content["choices"][0]["logprobs"] = tokens
    read = read_answer(content)
    assert read is not None
    assert read.choices[0].text == "a dog"
    assert read.choices[0].tokens == ()


def test_a_character_of_two_tokens_is_the_second_ones() -> None:
    content = answer("é")
    first, second = "é".encode()
    content["choices"][0]["logprobs"] = {
        "content": [
            {"token": "\ufffd", "logprob": -1.0, "bytes": [first]},
            {"token": "\ufffd", "logprob": -2.0, "bytes": [second], "id": 7},
            {"token": "", "logprob": float("-inf"), "bytes": []},
        ]
    }
    read = read_answer(content)
    assert read is not None
    tokens = read.choices[0].tokens
    assert [(token.text, token.id) for token in tokens] == [("", None), ("é", 7), ("", None)]
    assert tokens[2].log_probability == -9999.0


@pytest.mark.parametrize("usage", [None, 3, {}, {"prompt_tokens": -1, "completion_tokens": 1}])
def test_a_strange_usage_is_not_recorded(usage: Any) -> None:
    read = read_answer({**answer("a dog"), "usage": usage})
    assert read is not None
    assert read.usage is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"error": {"code": 429, "message": "slow\ndown"}}, ("429", "slow down")),
        ({"error": "no"}, ("", "no")),
        ({"detail": [{"msg": "x"}]}, ("", "[{'msg': 'x'}]")),
        ({"error": {"type": "bad", "message": "m" * 900}}, ("bad", "m" * 300 + "…")),
        *((value, ("", "")) for value in (None, 3, {})),
        ({"error": {"message": "\x1b[31mred"}}, ("", "[31mred")),
    ],
)
def test_error_messages(content: Any, expected: tuple[str, str]) -> None:
    assert error_text(content) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a \x1b[31mred\x07 dog", "a [31mred dog"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("half \ud83d", "half \ufffd"),
        ("naïve 🐈 猫", "naïve 🐈 猫"),
        ("\x9b31mred", "31mred"),
    ],
)
def test_codes_for_terminals_and_half_characters_are_no_text(text: str, shown: str) -> None:
    read = read_answer(answer(text))
    assert read is not None
    assert read.choices[0].text == shown
    shown.encode()
