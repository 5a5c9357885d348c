"""Reads the tags of HTML and JSX with the place of each attribute, templates in them or not.

Parsers tell what a tag says, not where; here one attribute changes, and nothing else may. Follows
the tokenizer of the HTML standard (§13.2.5), and knows the comments of template languages and JSX.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

# In XML, any tag may be an element by itself; in Hugo's shortcodes, backslashes escape quotes; in
# JSX, braces hold expressions.
Language = Literal["html", "xml", "jsx", "shortcode"]

# What is inside is text, not tags.
_RAW = ("script", "style", "textarea", "title", "iframe", "noembed", "noframes", "xmp", "plaintext")
# Comments of HTML, Liquid, Jinja, Go templates and JSX, code that Liquid colours, and instructions
# as in PHP.
_COMMENT = re.compile(
    r"<!--(?:>|->|.*?(?:--!?>|\Z))"
    r"|\{%-?\s*(comment|highlight)\b(?:(?!\{%-?\s*\1\b).)*?\{%-?\s*end\1\s*-?%\}"
    r"|\{#(?:(?!\{#).)*?#\}"
    r"|\{\{-?\s*/\*(?:(?!/\*).)*?\*/\s*-?\}\}|\{/\*(?:(?!/\*).)*?\*/\}|<\?.*?(?:\?>|\Z)"
    r"|<!\[CDATA\[(?:(?!<!\[).)*?\]\]>|<!(?!--)[^>]*(?:>|\Z)|</[^a-zA-Z>][^>]*(?:>|\Z)",
    re.DOTALL,
)
_TAG_NAME = re.compile(r"[a-zA-Z][^\s/>]*")
_TAG_BEGIN = re.compile("</?[a-zA-Z]")
_ATTRIBUTE_NAME = re.compile(r"=?[^\s/>=]+")
_BEGIN = re.compile("[<{]")
_SPACE = re.compile(r"\s*")
_TEMPLATES = (("{{", "}}"), ("{%", "%}"), ("<%", "%>"), ("<?", "?>"))
_COMPUTED = re.compile(r"\{\{|\{%|<%|<\?")
# What matters in a quoted value, by its quote.
_QUOTED_PARTS = {quote: re.compile(rf"{quote}|\\|\{{\{{|\{{%|<%|<\?") for quote in ('"', "'", "`")}
_ESCAPE = re.compile(r'\\(["\\])')
_QUOTES = "\"'`"


@dataclass(frozen=True)
class Attribute:
    """An attribute of a tag.

    Attributes:
        name: Its name, as it is written.
        value: Its value without escapes, or the expression in braces; None if it has none
            (`<img alt>`).
        start: Where its name begins.
        end: The character after it.
        computed: Whether a template or an expression makes the value.
        braced: Whether it is an expression in braces, as in JSX.
    """

    name: str
    value: str | None
    start: int
    end: int
    computed: bool = False
    braced: bool = False


@dataclass(frozen=True)
class Tag:
    """A tag: `<name …>`, or `</name>` if `closes`.

    Attributes:
        name: Its name, as it is written.
        start: Where it begins.
        name_end: The character after its name.
        end: The character after it.
        attributes: Its attributes.
        closes: Whether it ends an element.
        spreads: Whether an expression may give it any attribute (`{...rest}`).
    """

    name: str
    start: int
    name_end: int
    end: int
    attributes: tuple[Attribute, ...] = ()
    closes: bool = False
    spreads: bool = False

    def attribute(self, name: str) -> Attribute | None:
        """Return the first attribute of a name, whatever its case."""
        found = (each for each in self.attributes if each.name.lower() == name)
        return next(found, None)

    def value(self, name: str) -> str:
        """Return the value of an attribute; empty if there is none."""
        found = self.attribute(name)
        return "" if found is None or found.value is None else found.value


@dataclass(frozen=True)
class Text:
    """What is between tags, from `start` up to `end`."""

    start: int
    end: int


def read_html(page: str, *, language: Language = "html") -> Iterator[Tag | Text]:
    """Yield the tags of a page and the text between them; comments and scripts are neither."""
    at = text = 0
    while at < len(page):
        comment = _COMMENT.match(page, at)
        tag = None if comment or page[at] != "<" else read_tag(page, at, language=language)
        if comment is None and tag is None:
            # What begins like a tag and does not end takes the rest of the page with it.
            at = len(page) if _TAG_BEGIN.match(page, at) else _next(page, at + 1)
            continue
        if text < at:
            yield Text(text, at)
        if tag is not None:
            yield tag
        at = text = _end_of_tag(page, tag, language=language) if comment is None else comment.end()
    if text < len(page):
        yield Text(text, len(page))


def _end_of_tag(page: str, tag: Tag | None, *, language: Language) -> int:
    """Return the character after a tag, and after what is inside if that is no HTML."""
    assert tag is not None
    if language == "jsx" or tag.closes or tag.name.lower() not in _RAW:
        return tag.end
    if language == "xml" and page.endswith("/>", tag.start, tag.end):
        return tag.end
    closing = re.compile(f"</{re.escape(tag.name)}(?=[\\s/>])", re.IGNORECASE).search(page, tag.end)
    return len(page) if closing is None else closing.start()


def _next(page: str, at: int) -> int:
    """Return where the next tag or comment may begin."""
    found = _BEGIN.search(page, at)
    return len(page) if found is None else found.start()


def read_tag(page: str, start: int, *, language: Language = "html") -> Tag | None:
    """Return the tag that begins at `start`, or None if there is none, or no end of it."""
    closes = page.startswith("</", start)
    name = _TAG_NAME.match(page, start + 1 + closes)
    if name is None:
        return None
    at, length = name.end(), len(page)
    attributes: list[Attribute] = []
    spreads = False
    while at < length:
        if page[at] == ">":
            found = (name.group(), start, name.end(), at + 1, tuple(attributes))
            return Tag(*found, closes=closes, spreads=spreads)
        template = _template_end(page, at)
        if page[at].isspace() or page[at] == "/":
            at += 1
        elif template is not None:
            at = template
        elif language == "jsx" and page[at] == "{":
            at, spreads = _expression_end(page, at), True
        else:
            attribute = _read_attribute(page, at, language=language)
            if attribute is None:
                return None
            attributes.append(attribute)
            at = attribute.end
    return None


def _read_attribute(page: str, start: int, *, language: Language) -> Attribute | None:
    name = _ATTRIBUTE_NAME.match(page, start)
    if name is None:  # a lone "=": a fault, and no attribute
        return Attribute("", None, start, start + 1)
    equals = _skip_space(page, name.end())
    if equals >= len(page) or page[equals] != "=":
        return Attribute(name.group(), None, start, name.end())
    at = _skip_space(page, equals + 1)
    if at >= len(page):
        return None
    if language == "jsx" and page[at] == "{":
        end = _expression_end(page, at)
        expression = page[at + 1 : end - 1].strip()
        text = _string_literal(expression)
        value = expression if text is None else text
        return Attribute(name.group(), value, start, end, computed=text is None, braced=True)
    if page[at] in ("\"'`" if language == "shortcode" else "\"'"):
        quoted = _quoted_end(page, at, escapes=language == "shortcode" and page[at] == '"')
        if quoted is None:
            return None
        end, value = quoted, page[at + 1 : quoted - 1]
    else:
        end = _unquoted_end(page, at)
        value = page[at:end]
    computed = _COMPUTED.search(value) is not None
    text = _ESCAPE.sub(r"\1", value) if language == "shortcode" else html.unescape(value)
    return Attribute(name.group(), text, start, end, computed=computed)


def _string_literal(expression: str) -> str | None:
    """Return the text of an expression that is one string (`{"a dog"}`), else None."""
    quote = expression[:1]
    plain = len(expression) >= 2 and quote in _QUOTES and expression[-1] == quote
    inside = expression[1:-1]
    return inside if plain and not any(each in inside for each in (quote, "\\", "${")) else None


def _quoted_end(page: str, start: int, *, escapes: bool) -> int | None:
    """Return the character after a value in quotes; quotes within templates do not end it."""
    quote, at = page[start], start + 1
    while found := _QUOTED_PARTS[quote].search(page, at):
        if found.group() == quote:
            return found.end()
        at = found.start() + 2 if found.group() == "\\" and escapes else found.start() + 1
        at = _template_end(page, found.start()) or at
    return None


def _unquoted_end(page: str, at: int) -> int:
    while at < len(page) and not page[at].isspace() and page[at] != ">":
        at = _template_end(page, at) or at + 1
    return at


def _template_end(page: str, at: int) -> int | None:
    """Return the character after a template's `{{ … }}` or the like that begins at `at`."""
    for begin, end in _TEMPLATES:
        if page.startswith(begin, at):
            place = page.find(end, at + 2)
            return None if place < 0 else place + len(end)
    return None


def _expression_end(page: str, start: int) -> int:
    """Return the character after the expression in braces that begins at `start`."""
    depth, at = 0, start
    while at < len(page):
        character = page[at]
        if character in _QUOTES:
            at = _string_end(page, at)
            continue
        depth += (character == "{") - (character == "}")
        at += 1
        if depth == 0:
            return at
    return at


def _string_end(page: str, start: int) -> int:
    quote, at = page[start], start + 1
    while at < len(page) and page[at] != quote:
        if quote == "`" and page.startswith("${", at):
            at = _expression_end(page, at + 1)
        else:
            at += 2 if page[at] == "\\" else 1
    return at + 1


def _skip_space(page: str, at: int) -> int:
    match = _SPACE.match(page, at)
    assert match is not None
    return match.end()
