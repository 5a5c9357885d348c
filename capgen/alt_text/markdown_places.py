"""The images of Markdown and MDX, with the heading and the paragraph around each.

markdown-it finds what is an image, what is code, and which references are defined. It tells places
within a block to its rules only, so those of images, HTML and code are wrapped to keep them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline, backtick, html_inline, image
from markdown_it.token import Token

from capgen.alt_text.content_map import ContentMap, PageLines
from capgen.alt_text.html_places import (
    COMPONENTS,
    Block,
    html_places,
    place_of_tag,
    with_context,
)
from capgen.alt_text.indented_blocks import without_block_indents
from capgen.alt_text.places import AltState, Edit, Place
from capgen.alt_text.tags import Tag, read_tag
from capgen.alt_text.templates import COMMENT, EXPRESSION, address_in, imported_files, neutralised

_FRONT_MATTER = re.compile(
    r"\ufeff?(?:---[ \t]*\r?\n(?:.*?\r?\n)??(?:---|\.\.\.)"
    r"|\+\+\+[ \t]*\r?\n(?:.*?\r?\n)??\+\+\+)[ \t]*(?=\r?\n|\Z)",
    re.DOTALL,
)
_NOT_LINE_END = re.compile(r"[^\r\n]")
# `figure` and the like of Hugo.
_SHORTCODE = re.compile(
    r"\{\{[<%]\s*(?:figure|image|img)\s((?:(?!\{\{[<%]).)*?)/?\s*[>%]\}\}", re.DOTALL
)
_JSX = re.compile(f"<(?=(?:img|{'|'.join(COMPONENTS)})[\\s/>])")
# What is no text of a paragraph: expressions, shortcodes, and in MDX all that may be JSX.
_SHORTCODES = re.compile(r"\{\{(?:(?!\{\{).)*?\}\}|\{%(?:(?!\{%).)*?%\}", re.DOTALL)
_JSX_TAGS = re.compile(r"<[A-Za-z/].*>|\{.*\}", re.DOTALL)


def markdown_places(page: str, *, mdx: bool = False) -> list[Place]:
    """Return the images of a Markdown page in their order; lines and columns are not set."""
    return _Reader(page, mdx=mdx).places()


class _Reader:
    def __init__(self, page: str, *, mdx: bool) -> None:
        self._page, self._mdx = page, mdx
        front_matter = _FRONT_MATTER.match(page)
        text = _blank(front_matter) + page[front_matter.end() :] if front_matter else page
        # Blanked, not removed: places stay.
        self._text = COMMENT.sub(_blank, text.replace("\ufeff", " ", 1))
        parsed = neutralised(self._text)
        self._lines = PageLines(parsed)
        # In which lines are the same, but for indentation.
        self._parsed = parsed if mdx else without_block_indents(parsed)
        self._blocks = [Block("")]
        self._starts = [0]
        # Ranges of code, in which nothing is an image.
        self._code: list[tuple[int, int]] = []

    def places(self) -> list[Place]:
        """Return the images in their order."""
        kind = ""
        for token in _parser(mdx=self._mdx).parse(self._parsed):
            if token.nesting == 1:
                kind = token.tag
            elif token.type == "inline":
                self._take_inline(token, kind)
            elif token.type == "html_block":
                where = self._begin_block(token, "")
                found = html_places(where.restored(token.content, self._text))
                self._blocks[-1].places += [_moved(each, where, 0) for each in found]
            elif token.type in ("fence", "code_block"):
                assert token.map is not None
                first, last = token.map
                self._code.append((self._lines.start(first), self._lines.start(last)))
        for place in self._marked():
            self._block_at(place.start).places.append(place)
        return sorted(with_context(self._blocks), key=lambda place: place.start)

    def _begin_block(self, token: Token, kind: str) -> ContentMap:
        assert token.map is not None
        self._blocks.append(Block(kind))
        self._starts.append(self._lines.start(token.map[0]))
        return self._lines.locate(token.content, token.map)

    def _block_at(self, place: int) -> Block:
        return self._blocks[bisect_right(self._starts, place) - 1]

    def _take_inline(self, token: Token, kind: str) -> None:
        where = self._begin_block(token, kind)
        block = self._blocks[-1]
        for child in token.children or ():
            if child.type == "image":
                block.places.append(self._markdown_image(child, where))
            elif child.type == "html_inline":
                block.places += self._tag_in_text(child, where, token.content)
            elif child.type == "code_inline":
                start, end = (where.at(each) for each in child.meta["span"])
                if start is not None and end is not None:
                    self._code.append((start, end))
            if child.type in ("text", "code_inline", "softbreak", "hardbreak"):
                block.texts.append(child.content or " ")
        tags = _JSX_TAGS if self._mdx else _SHORTCODES
        block.texts = [tags.sub(" ", "".join(block.texts))]

    def _markdown_image(self, token: Token, where: ContentMap) -> Place:
        start, end = (where.at(each) for each in token.meta["span"])
        label = [where.at(each) for each in token.meta["label"]]
        text = _plain(token.children or []).strip()
        address = str(token.attrs.get("src", ""))
        edit, computed = None, False
        if start is not None and label[0] is not None and label[1] is not None:
            written = self._page[label[0] : label[1]]
            computed = EXPRESSION.search(written) is not None
            if end is not None and EXPRESSION.search(self._page, label[1], end):
                address = _templated_address(self._page[label[1] : end])
            if not (computed or token.meta["reference"]):
                edit = Edit(label[0], label[1], "markdown")
        state: AltState = "computed" if computed else "written" if text else "missing"
        return Place(
            start=where.begin if start is None else start,
            line=0,
            column=0,
            address=address,
            state=state,
            text="" if computed else text,
            edit=edit,
        )

    def _tag_in_text(self, token: Token, where: ContentMap, content: str) -> Iterator[Place]:
        begin, end = token.meta["span"]
        tag = read_tag(where.restored(content, self._text)[begin:end], 0)
        place = None if tag is None else place_of_tag(tag)
        in_page = where.at(begin)
        shortcode = in_page is not None and self._page[max(0, in_page - 2) : in_page] == "{{"
        if place is not None and not shortcode:
            yield _moved(place, where, begin)

    def _marked(self) -> Iterator[Place]:
        """Yield the images of shortcodes and of JSX, which Markdown does not know."""
        for match in self._outside_code(_SHORTCODE):
            tag = read_tag(f"<x {match.group(1)}>", 0, language="shortcode")
            if tag is not None:
                yield from _of_shortcode(tag, match.start(1) - len("<x "), match.start())
        imported = imported_files(self._text) if self._mdx else {}
        for match in self._outside_code(_JSX) if self._mdx else ():
            tag = read_tag(self._text, match.start(), language="jsx")
            place = None if tag is None else place_of_tag(tag, language="jsx", imported=imported)
            if place is not None:
                yield place

    def _outside_code(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        code = sorted(self._code)
        starts = [start for start, _ in code]
        for match in pattern.finditer(self._text):
            before = bisect_right(starts, match.start()) - 1
            if before < 0 or code[before][1] <= match.start():
                yield match


def _of_shortcode(tag: Tag, by: int, start: int) -> Iterator[Place]:
    """Yield the image of a shortcode, whose caption is its text if it has no other."""
    place = place_of_tag(tag, language="shortcode")
    if place is None:
        return
    caption = tag.value("caption").strip()
    if tag.attribute("alt") is None and caption:
        place = replace(place, state="written", text=caption)
    yield replace(place, start=start, edit=place.edit and place.edit.moved(by))


def _moved(place: Place, where: ContentMap, by: int) -> Place:
    """Return an image of a block's content, from its offset `by` on, at its place in the page."""
    start = where.at(by + place.start)
    edit = place.edit
    if edit is not None:
        begin, end = where.at(by + edit.start), where.at(by + edit.end)
        edit = None if begin is None or end is None else replace(edit, start=begin, end=end)
    return replace(place, start=where.begin if start is None else start, edit=edit)


def _parser(*, mdx: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": not mdx}).enable(["table", "strikethrough"])
    if mdx:
        parser.disable("code")
    parser.inline.ruler.at("image", _image)
    parser.inline.ruler.at("html_inline", _with_span(html_inline))
    parser.inline.ruler.at("backticks", _with_span(backtick))
    return parser


def _with_span(rule: Callable[[StateInline, bool], bool]) -> Callable[[StateInline, bool], bool]:
    """Return a rule that notes in its token where in the content that is."""

    def noting(state: StateInline, silent: bool) -> bool:
        start, count = state.pos, len(state.tokens)
        matched = rule(state, silent)
        if matched and not silent and len(state.tokens) > count:
            state.tokens[-1].meta["span"] = start, state.pos
        return matched

    return noting


def _image(state: StateInline, silent: bool) -> bool:
    start, count = state.pos, len(state.tokens)
    label_end = -1
    if state.src.startswith("![", start):
        label_end = state.md.helpers.parseLinkLabel(state, start + 1, False)
    matched = image(state, silent)
    if matched and not silent and len(state.tokens) > count:
        after = state.src[label_end + 1 : label_end + 3]
        # The text of `![text]` and `![text][]` is the reference.
        state.tokens[-1].meta |= {
            "span": (start, state.pos),
            "label": (start + 2, label_end),
            "reference": not (after[:1] == "(" or (after[:1] == "[" and after != "[]")),
        }
    return matched


def _plain(tokens: list[Token]) -> str:
    parts = []
    for token in tokens:
        parts.append(_plain(token.children or []) if token.type == "image" else token.content)
        parts += [" "] if token.type in ("softbreak", "hardbreak") else []
    return "".join(parts)


def _templated_address(written: str) -> str:
    """Return the address of `](address "title")`, in which there is a template."""
    inside = written[2:-1].strip()
    match = re.match(rf"(?:{EXPRESSION.pattern}|\S)+", inside)
    return "" if match is None else address_in(match.group().strip("<>"))


def _blank(match: re.Match[str]) -> str:
    return _NOT_LINE_END.sub(" ", match.group())
