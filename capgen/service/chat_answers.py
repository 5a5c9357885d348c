"""Answers of the OpenAI chat protocol, made from records.

The format is that of "Create chat completion"
(https://platform.openai.com/docs/api-reference/chat/object).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

from capgen.records import Caption
from capgen.service.chat import ChatRequest


def completion(caption: Caption, request: ChatRequest) -> dict[str, Any]:
    """Return the answer to a request: a choice for each caption, and the record as `capgen`."""
    choices = [
        {
            "index": number,
            "message": {"role": "assistant", "content": one.text, "refusal": None},
            "logprobs": _logprobs(one) if request.logprobs else None,
            "finish_reason": _ended(one),
        }
        for number, one in enumerate((caption, *caption.alternatives))
    ]
    head = _head("chat.completion", caption)
    return {**head, "choices": choices, "usage": _usage(caption), "capgen": caption.to_dict()}


def events(caption: Caption, request: ChatRequest) -> Iterator[bytes]:
    """Yield the answer as server-sent events: a chunk for each caption, its end, `[DONE]`.

    A caption is searched as a whole: it cannot come word by word.
    """
    head = _head("chat.completion.chunk", caption)
    every = [*enumerate((caption, *caption.alternatives))]
    for number, one in every:
        delta = {"role": "assistant", "content": one.text}
        logprobs = _logprobs(one) if request.logprobs else None
        choice = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": None}
        yield _event({**head, "choices": [choice]})
    for number, one in every:
        choice = {"index": number, "delta": {}, "logprobs": None, "finish_reason": _ended(one)}
        yield _event({**head, "choices": [choice]})
    if request.stream_usage:
        yield _event({**head, "choices": [], "usage": _usage(caption)})
    yield b"data: [DONE]\n\n"


def _head(kind: str, caption: Caption) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": caption.model,
        "system_fingerprint": caption.revision or None,
    }


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\n\n"


def _ended(caption: Caption) -> str:
    """Return `length` if the last token does not end the caption: it was cut."""
    return "length" if caption.tokens and caption.tokens[-1].text else "stop"


def _logprobs(caption: Caption) -> dict[str, Any]:
    """Return the tokens; the one that ends a caption has no text."""
    return {
        "content": [
            {
                "token": token.text,
                "logprob": token.log_probability,
                "bytes": [*token.text.encode("utf-8", "replace")],
                "top_logprobs": [],
            }
            for token in caption.tokens
        ],
        "refusal": None,
    }


def _usage(caption: Caption) -> dict[str, int]:
    """Return the tokens; those of image and prompt are known of models on servers only."""
    prompt = caption.usage.prompt_tokens if caption.usage is not None else 0
    made = sum(len(one.tokens) for one in (caption, *caption.alternatives))
    if caption.usage is not None:
        made = caption.usage.completion_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": made,
        "total_tokens": prompt + made,
    }
