"""Requests of the chat protocol: an image and a prompt, with the decoding settings.

Some servers refuse a parameter that others need. `Dialect` is what one server understands.
"""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

from capgen.captioning.runtimes.base import ModelInput
from capgen.config import DecodeSettings

_PNG = b"\x89PNG"
_LOGPROBS, _TEMPERATURE, _SEED, _SEVERAL = "logprobs", "temperature", "seed", "n"
_LENGTH, _NEW_LENGTH = "max_tokens", "max_completion_tokens"


class Dialect:
    """Which parameters a server takes, learned from what it refuses. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left_out: set[str] = set()
        self._length = _LENGTH

    def learn(self, message: str, payload: dict[str, Any]) -> bool:
        """Return whether to ask again, without what the message refuses of the payload."""
        with self._lock:
            if _NEW_LENGTH in message and _LENGTH in payload:
                self._length = _NEW_LENGTH
                return True
            optional = [_LOGPROBS, _SEVERAL]
            if payload.get(_TEMPERATURE) == 0:  # nobody asked for it
                optional.append(_TEMPERATURE)
            for name in optional:
                if name in payload and _names(message, name):
                    self._left_out.add(name)
                    return True
        return False

    def notes(self, settings: DecodeSettings) -> tuple[str, ...]:
        """Return what a server makes of settings, where that is not what they say."""
        if _TEMPERATURE in self._left_out and not settings.sample:
            return ("the server chooses the temperature itself",)
        return ()

    def payload(
        self, model: str, messages: list[dict[str, Any]], settings: DecodeSettings, sample: int
    ) -> dict[str, Any]:
        """Return a request for the captions from number `sample` on."""
        several = settings.num_captions - sample
        made: dict[str, Any] = {"model": model, "messages": messages, "stream": False}
        made[self._length] = settings.max_length
        made[_TEMPERATURE] = settings.temperature if settings.sample else 0
        made[_LOGPROBS] = True
        if settings.sample and settings.top_p < 1:
            made["top_p"] = settings.top_p
        if settings.sample and settings.seed is not None:
            made[_SEED] = settings.seed + sample
        if several > 1:
            made[_SEVERAL] = several
        kept = {_TEMPERATURE} if settings.sample else set()  # what was asked for is not dropped
        left_out = self._left_out - kept
        return {name: value for name, value in made.items() if name not in left_out}


def messages(image: ModelInput, system: str) -> list[dict[str, Any]]:
    """Return the messages that ask for a caption of one image."""
    assert isinstance(image.content, bytes)
    kind = "png" if image.content.startswith(_PNG) else "jpeg"
    data = base64.b64encode(image.content).decode("ascii")
    picture = {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}
    user = {"role": "user", "content": [picture, {"type": "text", "text": image.prompt}]}
    return [{"role": "system", "content": system}, user] if system else [user]


def encoded(payload: dict[str, Any]) -> bytes:
    """Return a request as bytes."""
    return json.dumps(payload).encode()


def _names(message: str, name: str) -> bool:
    """Whether a refusal names a parameter: alone, in quotes, or as a word."""
    words = message.lower().replace("top_logprobs", "logprobs")
    quoted = any(f"{quote}{name}{quote}" in words for quote in "'\"`")
    return quoted or (len(name) > 1 and name in words)
