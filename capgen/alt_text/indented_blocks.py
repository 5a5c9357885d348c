"""Blocks of MkDocs (`!!! note`, `??? tip`, `=== "tab"`), whose content is indented and no code."""

from __future__ import annotations

import re

_MARKER = re.compile(r"([ \t]*)(?:!!!|\?\?\?\+?|===)[ \t]+\S")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_INDENT = re.compile(r"[ \t]*")
_WIDTH = 4


def without_block_indents(page: str) -> str:
    """Return a page whose blocks' contents are indented no more than their markers.

    What is indented further is code, there as elsewhere. Lines stay where they are.
    """
    if not _MARKER.search(page):
        return page
    open_blocks: list[int] = []  # the columns of the markers
    lines = []
    for line in _LINE.findall(page):
        bare = line.lstrip(" \t")
        indent = len(_indent_of(line).expandtabs(_WIDTH))
        if bare.strip("\r\n"):
            while open_blocks and indent < open_blocks[-1] + _WIDTH:
                open_blocks.pop()
            line = " " * (indent - _WIDTH * len(open_blocks)) + bare if open_blocks else line
            if _MARKER.match(" " * indent + bare):
                open_blocks.append(indent)
        lines.append(line)
    return "".join(lines)


def _indent_of(line: str) -> str:
    found = _INDENT.match(line)
    assert found is not None
    return found.group()
