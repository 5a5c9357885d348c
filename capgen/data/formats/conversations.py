"""Conversations about an image, as LLaVA and chat templates write them.

    [{"from": "human", "value": "<image>\\nDescribe."}, {"from": "gpt", "value": "A dog."}]
    [{"role": "user", "content": …}, {"role": "assistant", "content": "A dog."}]

The answer to the only question is taken for a caption. Several questions are a dialogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SPEAKERS = (("from", "value"), ("role", "content"))
_ANSWERING = ("gpt", "assistant", "model", "chatgpt", "bot")


def is_conversation(cell: Any) -> bool:
    """Whether a cell is a list of turns."""
    return isinstance(cell, list) and bool(cell) and all(_turn(turn) is not None for turn in cell)


def answers(cell: Any) -> list[str]:
    """Return what the model says in a conversation, turn by turn."""
    turns = [turn for turn in map(_turn, cell) if turn is not None]
    return [text for speaker, text in turns if speaker in _ANSWERING]


def _turn(turn: Any) -> tuple[str, str] | None:
    """Return who speaks and what is said, or None if this is no turn."""
    for who, what in _SPEAKERS:
        if isinstance(turn, Mapping) and isinstance(turn.get(who), str):
            text = _text(turn.get(what))
            return None if text is None else (turn[who].lower(), text)
    return None


def _text(content: Any) -> str | None:
    """Return what is said in a turn, which may come in parts, or None."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else None
