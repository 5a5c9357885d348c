"""What a model thinks aloud before its answer, which is not part of a caption."""

from __future__ import annotations

import re

# As reasoning models write it; chat templates may already have written the opening.
_CLOSINGS = re.compile(r"</(?:think|thinking|thought|reasoning)>|◁/think▷|\[/THINK\]")
_OPENINGS = re.compile(r"\s*(?:<(?:think|thinking|thought|reasoning)>|◁think▷|\[THINK\])")


def answer_begins(text: str) -> int:
    """Return where the answer begins; the text's length if it was cut off while thinking."""
    begin = 0
    for closing in _CLOSINGS.finditer(text):
        begin = closing.end()
    return len(text) if not begin and _OPENINGS.match(text) else begin
