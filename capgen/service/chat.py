"""Requests of the OpenAI chat protocol: which image, what is asked of it, and how to decode.

What a captioner cannot heed is ignored, as servers of that protocol do, and noted in the record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from capgen.config.fields import is_number
from capgen.service.answers import RequestError
from capgen.service.asked import RequestOptions
from capgen.service.captioning import Incoming
from capgen.service.data_urls import image_at

# Ends of the ranges of `DecodeOptions`.
_LEAST_TEMPERATURE, _LEAST_TOP_P, _SEEDS, _MOST_TOKENS = 0.1, 0.01, 2**32, 4096
# Start and end, which `max_length` counts and `max_tokens` does not.
_START_AND_END = 2
_UNREAD = "the text was not read: this model describes images and answers no questions"
_SAMPLING: dict[str, Any] = {"temperature": None, "top_p": None, "top_k": None}


@dataclass(frozen=True)
class ChatRequest:
    """A request that was read.

    Attributes:
        image: The image that it is about.
        options: What it asks for, over the service's own options.
        notes: What is not heeded.
        stream: Whether the answer comes as events.
        stream_usage: Whether the events tell how many tokens it took.
        logprobs: Whether the tokens are wanted.
    """

    image: Incoming
    options: RequestOptions
    notes: tuple[str, ...] = ()
    stream: bool = False
    stream_usage: bool = False
    logprobs: bool = False


@dataclass
class _Said:
    """What the messages say."""

    images: list[Incoming] = field(default_factory=list)  # of the last message with any
    prompt: str = ""  # of the last message of the user
    system: list[str] = field(default_factory=list)


def read_chat(
    content: Mapping[str, Any], defaults: RequestOptions, *, answers: bool
) -> ChatRequest:
    """Return what a request asks for.

    Args:
        content: The request.
        defaults: The service's own options.
        answers: Whether the model answers prompts. The words of others begin the caption: what
            a client asks in general ("What is in this image?") must not.

    Raises:
        RequestError: It is not of the protocol, or asks for what there is not.
        UsageError: An option is out of its range.
    """
    said = _said(content.get("messages"))
    if len(said.images) != 1:
        raise RequestError(
            400,
            f"There are {len(said.images)} images in the last message that has any"
            if said.images
            else "There is no image in the messages",
            "Send one, as a part of the type image_url.",
        )
    for name in ("tools", "functions"):
        if content.get(name):
            raise RequestError(400, f"{name} are not offered")
    _check_format(content.get("response_format"))
    options = defaults
    notes: tuple[str, ...] = ()
    words = said.prompt or said.system
    if answers:
        asked = {"prompt": said.prompt, "system": "\n\n".join(said.system)}
        options = options.with_given({name: text for name, text in asked.items() if text})
    elif words:
        notes = (_UNREAD,)
    options = options.with_given(_decoding(content, answers))
    own = content.get("capgen")
    if own is None:
        own = {}
    if not isinstance(own, Mapping):
        raise RequestError(400, "capgen must be an object of options")
    stream = content.get("stream_options")
    return ChatRequest(
        image=said.images[0],
        options=options.with_given(own),
        notes=notes,
        stream=content.get("stream") is True,
        stream_usage=isinstance(stream, Mapping) and stream.get("include_usage") is True,
        logprobs=content.get("logprobs") is True,
    )


def _check_format(wanted: Any) -> None:
    if wanted is None or (isinstance(wanted, Mapping) and wanted.get("type") == "text"):
        return
    raise RequestError(400, "response_format: only text is offered")


def _said(messages: Any) -> _Said:
    if not isinstance(messages, list) or not messages:
        raise RequestError(400, "messages must be a list of messages")
    said = _Said()
    for message in messages:
        if not isinstance(message, Mapping):
            raise RequestError(400, "A message must be an object")
        text, addresses = _parts(message.get("content"))
        role = message.get("role")
        if role in ("system", "developer"):
            said.system += [text] if text else []
        elif role == "user":
            said.prompt = text
            if addresses:
                # Only the last ones: earlier images were answered already.
                said.images = [Incoming(address="") for _ in addresses[1:]]
                said.images.append(image_at(addresses[0]))
        elif role not in ("assistant", "tool", "function"):
            raise RequestError(400, f"There is no role {str(role)[:100]!r}")
    return said


def _parts(content: Any) -> tuple[str, list[Any]]:
    """Return the text and the addresses of images of a message."""
    if content is None or isinstance(content, str):
        return (content or "").strip(), []
    if not isinstance(content, list):
        raise RequestError(400, "content must be text or a list of parts")
    texts, addresses = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url":
            place = part.get("image_url")
            addresses.append(place.get("url") if isinstance(place, Mapping) else place)
        else:
            raise RequestError(
                400,
                f"There is no part of the type {str(kind)[:100]!r}",
                "There are text and image_url.",
            )
    return "\n".join(texts).strip(), addresses


def _decoding(content: Mapping[str, Any], answers: bool) -> dict[str, Any]:
    """Return decoding options for the parameters of a request."""
    made: dict[str, Any] = {}
    temperature = _number(content, "temperature", 0.0, 2.0)
    top_p = _number(content, "top_p", 0.0, 1.0)
    if temperature == 0 or (temperature is None and top_p == 0):
        made |= _SAMPLING
    elif temperature is not None:
        made["temperature"] = max(temperature, _LEAST_TEMPERATURE)
    if temperature != 0 and top_p is not None and 0 < top_p < 1:
        made["top_p"] = max(top_p, _LEAST_TOP_P)
    seed = _whole(content, "seed", -math.inf)
    if seed is not None:
        made["seed"] = seed % _SEEDS
    count = _whole(content, "n", 1)
    if count is not None and count > 1:
        made["num_captions"] = count
    tokens = _whole(content, "max_completion_tokens", 1) or _whole(content, "max_tokens", 1)
    if tokens is not None:
        length = tokens if answers else tokens + _START_AND_END
        made["max_length"] = max(2, min(length, _MOST_TOKENS))
    return made


def _number(content: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = content.get(name)
    if value is None:
        return None
    if not is_number(value) or not low <= value <= high:
        raise RequestError(400, f"{name} must be a number between {low:g} and {high:g}")
    return float(value)


def _whole(content: Mapping[str, Any], name: str, low: float) -> int | None:
    value = content.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise RequestError(
            400, f"{name} must be a whole number" + (f" from {low:g} on" if low == 1 else "")
        )
    return value


def within(request: ChatRequest, most: int) -> ChatRequest:
    """Return a request with no more tokens than the model has positions and the service does.

    Clients ask for hundreds of tokens to be on the safe side, which says nothing about captions.
    """
    decoding = request.options.decoding
    if (decoding.max_length or 0) <= most:
        return request
    options = replace(request.options, decoding=replace(decoding, max_length=most))
    return replace(request, options=options)
