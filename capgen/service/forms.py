"""Reads forms (multipart/form-data) into memory: images, and options as text fields.

Nothing goes to disk: a container may have no place to write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from capgen.service.answers import RequestError

_MOST_FIELDS = 100
_LARGEST_FIELD = 1 << 16
_LARGEST_HEAD = 1 << 13


@dataclass
class Form:
    """A form that was read.

    Attributes:
        images: File name (or None) and bytes of each part named `image`.
        options: Name → values of the text fields.
    """

    images: list[tuple[str | None, bytes]] = field(default_factory=list)
    options: dict[str, list[str]] = field(default_factory=dict)


async def read_form(content_type: str, parts: AsyncIterator[bytes], most_images: int) -> Form:
    """Return the form in a body.

    Args:
        content_type: The header, which names the boundary.
        parts: The body.
        most_images: Most images that are taken.

    Raises:
        RequestError: It is no whole form, or has too much.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise RequestError(400, "The form has no boundary in its Content-Type")
    reader = _Reader(most_images)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin,
                "on_header_field": reader.head,
                "on_header_value": reader.value,
                "on_header_end": reader.end_header,
                "on_part_data": reader.data,
                "on_part_end": reader.end,
                "on_end": reader.finish,
            },
        )
        async for part in parts:
            parser.write(part)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(400, "The form is damaged") from error
    if not reader.finished:
        raise RequestError(400, "The form ends too early")
    return reader.form


class _Reader:
    """Collects what the parser finds."""

    def __init__(self, most_images: int) -> None:
        self.form = Form()
        self.finished = False
        self._most_images = most_images
        self._fields = 0
        self.begin()

    def begin(self) -> None:
        self._name, self._value, self._headers = b"", b"", dict[bytes, bytes]()
        self._content = bytearray()
        self._head = 0

    def head(self, data: bytes, start: int, end: int) -> None:
        self._grow(end - start)
        self._name += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._grow(end - start)
        self._value += data[start:end]

    def end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def end(self) -> None:
        _, fields = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = fields.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise RequestError(400, "A part of the form has no name")
        if name in ("image", "images", "image[]", "images[]"):
            if len(self.form.images) == self._most_images:
                raise RequestError(413, f"A request can have {self._most_images} images")
            file = fields.get(b"filename")
            shown = None if file is None else file.decode("utf-8", "replace") or None
            self.form.images.append((shown, bytes(self._content)))
        else:
            self._option(name)
        self._content = bytearray()

    def _option(self, name: str) -> None:
        self._fields += 1
        if len(self._content) > _LARGEST_FIELD or self._fields > _MOST_FIELDS:
            raise RequestError(413, "The form has too many fields, or too large ones")
        text = self._content.decode("utf-8", "replace")
        self.form.options.setdefault(name, []).append(text)

    def finish(self) -> None:
        self.finished = True

    def _grow(self, size: int) -> None:
        self._head += size
        if self._head > _LARGEST_HEAD:
            raise RequestError(400, "The head of a part of the form is too large")
