"""What `capgen` shows without any argument: what to type next."""

from __future__ import annotations

import capgen

# Command → what it does. All of it fits into 80 columns.
NEXT = {
    "capgen demo": "try it on photos that come with it",
    "capgen caption photo.jpg": "say what an image shows",
    "capgen caption photos/ -o captions.jsonl": "caption a folder",
    "capgen review captions.jsonl": "correct the captions on a page",
    "capgen --help": "list all commands",
}


def welcome() -> str:
    """Return the text: what capgen is, and commands with a line each."""
    width = max(map(len, NEXT))
    return "\n".join(
        (
            f"capgen {capgen.__version__} captions images. What to type next:",
            "",
            *(f"  {command:<{width}}  {effect}" for command, effect in NEXT.items()),
        )
    )
