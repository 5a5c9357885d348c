"""Where a page shows an image, and how its alternative text is written there."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from typing import Literal

# missing: nobody wrote one; decoration: an empty one that says there is nothing to tell; written:
# there is a text; computed: a template or an expression makes it, so it is not known here.
AltState = Literal["missing", "decoration", "written", "computed"]
# Whose rules a text is escaped by.
Syntax = Literal["markdown", "html", "shortcode"]

# Also what means something in MDX only: a backslash before it is never shown. Before
# the others below, it is shown by some Markdown; all know references.
_MARKDOWN = re.compile(r"([\\*_\[\]{}])")
_MARKDOWN_REFERENCES = (
    (re.compile(r"&(?=#?\w+;)"), "&amp;"),
    (re.compile("<"), "&lt;"),
    (re.compile("~"), "&#126;"),
    (re.compile(r"\|"), "&#124;"),  # makes a table of a heading, even with a backslash
    (re.compile("`"), "&#96;"),  # one before the image would make code up to it, backslash or not
)
# What would begin or end an expression or a comment of a template language, whose turn is first.
_TEMPLATE = re.compile(r"(?<=\{)[%#]")
_TEMPLATE_BRACE = re.compile(r"\{(?=[{%#])|(?<=[}%#])\}")
_LINE_ENDS = re.compile(r"\s*[\r\n]+\s*")


@dataclass(frozen=True)
class Edit:
    """How an alternative text is written: `before`, the text, `after` replace a range of the page.

    Attributes:
        start: First character of the range.
        end: The character after its last.
        syntax: Whose rules the text is escaped by.
        before: What comes before the text.
        after: What comes after it.
    """

    start: int
    end: int
    syntax: Syntax
    before: str = ""
    after: str = ""

    def moved(self, by: int) -> Edit:
        """Return the edit in a page in which this one begins `by` characters later."""
        return replace(self, start=self.start + by, end=self.end + by)


@dataclass(frozen=True, kw_only=True)
class Place:
    """An image of a page.

    Attributes:
        start: Where its markup begins, in characters from the beginning of the page.
        line: The line of that, from 1.
        column: The column of that, from 1.
        address: The image's address as it is written, without escapes; may be empty.
        others: Further addresses of the same image: of `data-src` and `srcset`.
        state: What alternative text it has.
        text: The alternative text; empty unless it is written.
        edit: How to write another text, or None if that is not possible.
        heading: The heading above it.
        paragraph: The paragraph that it is in, or the one beside it.
    """

    start: int
    line: int
    column: int
    address: str
    others: tuple[str, ...] = ()
    state: AltState
    text: str = ""
    edit: Edit | None = None
    heading: str = ""
    paragraph: str = ""


def with_texts(page: str, texts: list[tuple[Edit, str]], *, ascii_only: bool = False) -> str:
    """Return a page with alternative texts; all else stays as it is.

    Args:
        page: The page.
        texts: What to write where.
        ascii_only: Write other characters as references (`&#233;`), because the page's encoding
            is not known.
    """
    parts, done = [], 0
    for edit, text in sorted(texts, key=lambda each: each[0].start):
        written = escaped(text, edit.syntax)
        if ascii_only:
            written = written.encode("ascii", "xmlcharrefreplace").decode()
        parts += [page[done : edit.start], edit.before, written, edit.after]
        done = edit.end
    return "".join([*parts, page[done:]])


def escaped(text: str, syntax: Syntax) -> str:
    """Return a text, on one line, as it is written in an alternative text of a page."""
    text = _LINE_ENDS.sub(" ", text).strip()
    if syntax == "markdown":
        for pattern, reference in _MARKDOWN_REFERENCES:
            text = pattern.sub(reference, text)
        text = _TEMPLATE.sub(_reference, text)
        return _MARKDOWN.sub(r"\\\1", text)
    if syntax == "shortcode":
        return text.replace("\\", "\\\\").replace('"', '\\"')
    text = html.escape(text, quote=False).replace('"', "&quot;").replace("|", "&#124;")
    return _TEMPLATE_BRACE.sub(_reference, text)


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match.group())};"
