"""Answers of the chat protocol: their captions, tokens and usage. Knows nothing of connections.

The format is that of OpenAI's "Create chat completion"
(https://platform.openai.com/docs/api-reference/chat/object), read leniently: servers differ.
"""

from __future__ import annotations

import codecs
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capgen.captioning.thinking import answer_begins
from capgen.records import Usage

# What servers write for a probability of zero.
_LEAST = -9999.0
CUT, FILTERED = "length", "content_filter"


@dataclass(frozen=True)
class ServedToken:
    """A token as a server gives it: what it adds to the text, and its log-probability."""

    text: str
    log_probability: float
    id: int | None = None


@dataclass(frozen=True)
class Choice:
    """One caption of an answer.

    Attributes:
        text: The caption, without what the model thought before; may be empty.
        tokens: Its tokens; empty if the server does not tell.
        ended: Why the server ended it: `stop`, `length`, `content_filter`, …
        refusal: What the model said instead of a caption, or "".
    """

    text: str
    tokens: tuple[ServedToken, ...] = ()
    ended: str = ""
    refusal: str = ""


@dataclass(frozen=True)
class Answer:
    """What a server answered to one request."""

    choices: tuple[Choice, ...]
    usage: Usage | None = None


def read_answer(content: Any) -> Answer | None:
    """Return the answer in a JSON value, or None if it is not one."""
    choices = content.get("choices") if isinstance(content, Mapping) else None
    if not isinstance(choices, list) or not choices:
        return None
    read = [_choice(choice) for choice in choices]
    found = tuple(choice for choice in read if choice is not None)
    return Answer(found, _usage(content.get("usage"))) if found else None


def plain(text: str) -> str:
    """Return a server's text without what is not text: codes for terminals, half characters."""
    if text.isascii() and text.isprintable():
        return text
    kinds = ((character, unicodedata.category(character)) for character in text)
    return "".join(
        "\ufffd" if kind == "Cs" else character
        for character, kind in kinds
        if kind != "Cc" or character in "\n\t"
    )


def error_text(content: Any) -> tuple[str, str]:
    """Return the code and the message of an error in a JSON value; both may be empty."""
    error = content.get("error", content) if isinstance(content, Mapping) else content
    if isinstance(error, str):
        return "", _line(error)
    if not isinstance(error, Mapping):
        return "", ""
    text = next((error[key] for key in ("message", "detail", "msg") if error.get(key)), "")
    code = next((error[key] for key in ("code", "type") if error.get(key)), "")
    return str(code), _line(text if isinstance(text, str) else repr(text))


def _line(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 300 else line[:300] + "…"


def _choice(choice: Any) -> Choice | None:
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping):
        return None
    content, refusal = message.get("content"), message.get("refusal")
    if isinstance(content, list):  # parts of several kinds
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(part for part in parts if isinstance(part, str))
    if content is not None and not isinstance(content, str):
        return None
    raw = plain(content or "")
    begin = answer_begins(raw)
    text = raw[begin:].strip()
    ended = choice.get("finish_reason")
    return Choice(
        text,
        _tokens(choice.get("logprobs"), text),
        ended if isinstance(ended, str) else "",
        _line(refusal) if isinstance(refusal, str) else "",
    )


def _tokens(logprobs: Any, text: str) -> tuple[ServedToken, ...]:
    """Return the tokens of a caption; none unless they make up its text.

    What was thought before may be among a server's tokens or not.
    """
    items = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(items, list) or not text:
        return ()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    tokens = []
    for item in items:
        token = _token(item, decoder)
        if token is None:
            return ()
        tokens.append(token)
    begin = answer_begins("".join(token.text for token in tokens))
    kept, place = [], 0
    for token in tokens:
        if place >= begin:
            kept.append(token)
        place += len(token.text)
    same = _comparable("".join(token.text for token in kept)) == _comparable(text)
    return tuple(kept) if same else ()


def _comparable(text: str) -> str:
    """Return a text without parts of characters, which servers write in different ways."""
    return text.replace("\ufffd", "").strip()


def _token(item: Any, decoder: codecs.IncrementalDecoder) -> ServedToken | None:
    if not isinstance(item, Mapping):
        return None
    text, value, data = item.get("token"), item.get("logprob"), item.get("bytes")
    if not isinstance(text, str) or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if math.isnan(value):
        return None
    number = item.get("id")
    known = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    if isinstance(data, list):
        try:
            text = decoder.decode(bytes(data))
        except (ValueError, TypeError):
            return None
    text = plain(text)
    probability = min(max(float(value), _LEAST), 0.0)
    return ServedToken(text, probability, number if known else None)


def _usage(content: Any) -> Usage | None:
    if not isinstance(content, Mapping):
        return None
    counts = [content.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts):
        return None
    prompt, completion = counts
    return Usage(prompt_tokens=int(prompt or 0), completion_tokens=int(completion or 0))
