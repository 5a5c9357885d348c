"""The OpenAI protocol: what its parameters mean for a captioner."""

from __future__ import annotations

from typing import Any

import pytest

from capgen.config import DecodeOptions, PromptOptions
from capgen.errors import UsageError
from capgen.records import Caption, Token
from capgen.service.answers import RequestError
from capgen.service.asked import RequestOptions
from capgen.service.chat import ChatRequest, read_chat, within
from capgen.service.chat_answers import completion, events

DEFAULTS = RequestOptions(decoding=DecodeOptions(), prompt=PromptOptions())
PIXEL = "data:image/png;base64,AAAA"


def part(url: object = PIXEL) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def ask(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(parts)}


def read(*messages: Any, answers: bool = True, **more: Any) -> ChatRequest:
    content = {"messages": list(messages) or [ask(part())], **more}
    return read_chat(content, DEFAULTS, answers=answers)


def test_the_text_is_the_prompt_of_a_model_that_answers() -> None:
    system = {"role": "system", "content": "Be brief."}
    asked = read(system, ask({"type": "text", "text": " What colour? "}, part()))
    assert (asked.options.prompt.prompt, asked.options.prompt.system) == (
        "What colour?",
        "Be brief.",
    )
    assert asked.notes == () and asked.image.data == b"\0\0\0"


def test_a_model_that_answers_nothing_does_not_begin_its_caption_with_the_question() -> None:
    asked = read(ask({"type": "text", "text": "What colour?"}, part()), answers=False)
    assert asked.options.prompt == PromptOptions()
    assert "not read" in asked.notes[0]
    assert read(answers=False).notes == ()


def test_a_question_about_an_earlier_image() -> None:
    asked = read(
        ask(part("data:;base64,AAAA")),
        {"role": "assistant", "content": "a dog"},
        {"role": "user", "content": "And its colour?"},
    )
    assert asked.options.prompt.prompt == "And its colour?" and asked.image.data == b"\0\0\0"


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, {}),
        ({"temperature": 0}, {}),
        (
            {"temperature": 0.7, "top_p": 0.9, "seed": -1},
            {"temperature": 0.7, "top_p": 0.9, "seed": 2**32 - 1},
        ),
        ({"temperature": 0.01}, {"temperature": 0.1}),
        ({"temperature": 0, "top_p": 0.5}, {}),
        ({"top_p": 1}, {}),
        ({"n": 3}, {"num_captions": 3}),
        ({"max_tokens": 20}, {"max_length": 20}),
        ({"max_completion_tokens": 10**9, "max_tokens": 5}, {"max_length": 4096}),
        ({"capgen": {"beams": 4}}, {"beams": 4}),
        ({"user": "me", "presence_penalty": 1, "response_format": {"type": "text"}}, {}),
    ],
)
def test_parameters_are_decoding_options(given: dict[str, Any], made: dict[str, Any]) -> None:
    assert read(**given).options.decoding == DecodeOptions(**made)


def test_tokens_of_pixel_models_count_start_and_end_and_fit() -> None:
    asked = read(answers=False, max_tokens=10)
    assert asked.options.decoding.max_length == 12
    assert within(asked, 8).options.decoding.max_length == 8
    assert within(asked, 4096) is asked


@pytest.mark.parametrize(
    "content",
    [
        {"messages": None},
        {"messages": []},
        {"messages": ["text"]},
        {"messages": [{"role": "user", "content": "no image"}]},
        {"messages": [ask(part(), part())]},
        {"messages": [ask(part(), role="king")]},
        {"messages": [ask({"type": "input_audio"})]},
        {"messages": [ask(part("file:///etc/passwd"))]},
        {"messages": [ask(part("/etc/passwd"))]},
        {"messages": [ask(part("data:image/png;base64,%%%"))]},
        {"messages": [ask(part(5))]},
        {"messages": [ask(part())], "temperature": "hot"},
        {"messages": [ask(part())], "temperature": 3},
        {"messages": [ask(part())], "n": 0},
        {"messages": [ask(part())], "n": True},
        {"messages": [ask(part())], "seed": 1.5},
        {"messages": [ask(part())], "tools": [{}]},
        {"messages": [ask(part())], "response_format": {"type": "json_object"}},
        {"messages": [ask(part())], "capgen": 5},
    ],
)
def test_what_is_not_of_the_protocol_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        read_chat(content, DEFAULTS, answers=True)
    assert caught.value.status == 400


def test_own_options_are_checked() -> None:
    with pytest.raises(UsageError, match="beem"):
        read(capgen={"beem": 1})


def caption(*texts: str) -> Caption:
    tokens = tuple(Token(id=n, text=text, log_probability=-0.5) for n, text in enumerate(texts))
    return Caption(text="".join(texts), log_probability=-1.0, score=-1.0, tokens=tokens, model="m")


def test_the_answer_has_its_tokens_and_says_how_it_ended() -> None:
    asked = read(logprobs=True)
    whole, cut = caption("a", " dog", ""), caption("a", " dog")
    answer = completion(whole, asked)
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == "a dog" and choice["finish_reason"] == "stop"
    assert "".join(item["token"] for item in choice["logprobs"]["content"]) == "a dog"
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3}
    assert answer["capgen"]["caption"] == "a dog"
    assert completion(cut, read())["choices"][0]["finish_reason"] == "length"
    assert completion(cut, read())["choices"][0]["logprobs"] is None


def test_events_end_with_done() -> None:
    made = [*events(caption("a", ""), read(stream=True, stream_options={"include_usage": True}))]
    assert made[-1] == b"data: [DONE]\n\n" and len(made) == 4
    assert b'"content":"a"' in made[0] and b'"usage"' in made[2]
