"""Files of captions by image, in the forms that captioning tools write.

JSON: a list of objects (COCO results, capgen's records), an object of image → caption, captions or
objects with a caption (`gts` and `res` of pycocoevalcap), a COCO captions file. JSON Lines, CSV and
TSV with a column of images and one of captions. Text: image, tab, caption, or a caption per line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from capgen.data.problems import refusing
from capgen.data.text_files import read_json, read_lines, read_text
from capgen.errors import DataError
from capgen.file_types import has_image_suffix
from capgen.json_files import parse_json
from capgen.records import CaptionFailure
from capgen.tables.columns import IMAGE_NAMES, Columns, caption_columns, image_column
from capgen.tables.rows import read_table

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".token")
FORMS_HINT = (
    'Use JSON such as [{"image_id": "dog.jpg", "caption": "a dog runs"}] or '
    '{"dog.jpg": "a dog runs"}, JSON Lines, a CSV or TSV with the columns image_id and caption, '
    "or lines of image, tab, caption."
)
_JSON_LINES = (".jsonl", ".ndjson")
# Flickr30k's captions come as results_20130124.token.
_TEXT = (".txt", ".token")
_EMPTY_HINT = 'Leave it as "" if there is none: it is scored as an empty caption.'
# What files call the image of an entry, the likeliest first. In COCO results `id` may also be the
# number of the annotation.
IMAGE_KEYS = ("image_id", *IMAGE_NAMES, "id")
# What files with both references and predictions call the latter.
PREDICTION_KEYS = (
    *("prediction", "predicted_caption", "generated_caption", "generated_text", "hypothesis"),
    "candidate",
)
CAPTION_KEYS = ("caption", "captions", "text", "texts", "sentence", "sentences", "raw")
_LISTS = ("annotations", "predictions", "results", "captions")
_CAPTION_NUMBER = re.compile(r"#\d+$")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The captions of an image in a file.

    Attributes:
        image: The id or file name that the file has for it.
        captions: As they are.
        failure: Why there are none, where a record says so.
        place: The entry or line, for messages.
        alternatives: What it says besides, where it has a list of them.
    """

    image: str
    captions: tuple[str, ...]
    failure: CaptionFailure | None = None
    place: str = ""
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CaptionFile:
    """What a file of captions holds.

    Attributes:
        entries: Its entries. An image may have several.
        numbered: Whether it names no images, so that captions belong to images by their lines.
        items: The objects that the entries were made from; empty for text.
    """

    entries: tuple[Entry, ...] = field(repr=False)
    numbered: bool = False
    items: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


def read_caption_file(path: Path, keys: Sequence[str] = CAPTION_KEYS) -> CaptionFile:
    """Read a file of captions.

    Args:
        path: The file; its suffix says what it is (see `SUFFIXES`; JSON otherwise).
        keys: Names of what holds the captions of an entry, the likeliest first.

    Raises:
        DataError: The file cannot be read, or has none of the forms.
    """
    suffix = path.suffix.lower()
    if suffix in _TEXT:
        return _text_file(path, keys)
    if suffix in (".csv", ".tsv"):
        return CaptionFile(entries=tuple(_table(path, read_text(path, refusing), keys)))
    if suffix in _JSON_LINES:
        lines = read_lines(path, refusing)
        content = [parse_json(text, path, line=line, unique_keys=True) for line, text in lines]
        return caption_items(content, path, keys)
    return caption_items(read_content(path), path, keys)


def read_content(path: Path) -> Any:
    """Return the content of a JSON file of captions, of any suffix.

    Raises:
        DataError: The file cannot be read, or is not JSON.
    """
    try:
        return read_json(path, refusing, unique_keys=True)
    except DataError as error:
        if path.suffix.lower() in SUFFIXES:
            lines = "Extra data" in error.message and path.suffix.lower() == ".json"
            hint = "Is it an object per line? Then call it .jsonl." if lines else error.hint
        else:
            hint = f"Files of captions end in {', '.join(SUFFIXES)}; any other is read as JSON."
        raise DataError(error.message, hint=hint) from error


def caption_items(content: Any, path: Path, keys: Sequence[str] = CAPTION_KEYS) -> CaptionFile:
    """Return what the content of a JSON file holds; see `read_caption_file`."""
    if isinstance(content, dict):
        content = _entries_in(content)
    if not isinstance(content, list) or not content:
        raise DataError(f"{path} has no captions", hint=FORMS_HINT)
    entries = tuple(_entry(item, n, path, keys) for n, item in enumerate(content, start=1))
    return CaptionFile(entries=entries, items=tuple(content))


def _entries_in(content: Mapping[str, Any]) -> list[Any]:
    """Return the list of entries that an object holds, or its items as such a list."""
    for name in _LISTS:
        found = content.get(name)
        if isinstance(found, list) and found and _image_of(found[0]) is not None:
            return found
    return [{"image_id": name, "caption": value} for name, value in content.items()]


def _entry(item: Any, number: int, path: Path, keys: Sequence[str]) -> Entry:
    if not isinstance(item, dict):
        raise DataError(f"{path}: entry {number} is not an object", hint=FORMS_HINT)
    image = _image_of(item)
    if image is None:
        raise DataError(
            f"{path}: entry {number} does not say which image it is of",
            hint=f"Name it with image_id, image, file_name or the like. {FORMS_HINT}",
        )
    place = f"entry {number}"
    found = [item[key] for key in keys if item.get(key) is not None]
    error = item.get("error")
    if not found and isinstance(error, dict):
        failure = _failure(image, error.get("code"), error.get("message"), error.get("hint"))
        return Entry(image=image, captions=(), failure=failure, place=place)
    texts = _texts(found[0], keys) if found else None
    if texts is None:
        raise DataError(
            f"{path}: the caption in {place} ({image}) is missing or not a string",
            hint=f"{_EMPTY_HINT} {FORMS_HINT}" if keys[0] in PREDICTION_KEYS else FORMS_HINT,
        )
    others = _texts(item.get("alternatives") or [], keys) or ()
    return Entry(image=image, captions=tuple(texts), place=place, alternatives=tuple(others))


def _image_of(item: Any) -> str | None:
    """Return what an entry calls its image, or None. Ids may be numbers."""
    if not isinstance(item, dict):
        return None
    return next(
        (name for key in IMAGE_KEYS if (name := image_name(item.get(key))) is not None), None
    )


def image_name(value: Any) -> str | None:
    """Return the name of an image from what a JSON file has as its id, or None for no name."""
    if isinstance(value, float) and value.is_integer():  # as pandas writes whole numbers
        value = int(value)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _texts(value: Any, keys: Sequence[str]) -> list[str] | None:
    """Return the captions that a value holds; None if it holds something else."""
    values = value if isinstance(value, list) else [value]
    texts = []
    for each in values:
        text = each
        if isinstance(each, dict):
            text = next((each[key] for key in keys if key in each), None)
        if not isinstance(text, str):
            return None
        texts.append(text)
    return texts


def _failure(image: str, code: Any, message: Any, hint: Any = None) -> CaptionFailure:
    return CaptionFailure(
        path=image,
        code=str(code or "unreadable"),
        message=str(message or "no caption"),
        hint=str(hint or ""),
    )


def _table(path: Path, text: str, keys: Sequence[str]) -> Iterator[Entry]:
    """Yield the rows of delimited text with a header."""
    table = read_table(path, StringIO(text, newline=""), strict=False)
    columns = _columns(table.names, table.first, keys)
    if columns is None:
        names = ", ".join(filter(None, table.names)) or "none"
        raise DataError(
            f"{path} has no column of images or none of captions (columns: {names[:200]})",
            hint="Give it a first line with the names image_id and caption.",
        )
    for row in table.rows:
        if row.fault:
            raise DataError(f"{path}:{row.line}: {row.fault}")
        if row.surplus:
            raise DataError(
                f"{path}:{row.line}: there is text beyond the last column: {row.surplus[:60]!r}",
                hint="Put captions that have the separator inside in quotes.",
            )
        image = str(row.cells.get(columns.image) or "").strip()
        if not image:
            raise DataError(f"{path}:{row.line}: the cell {columns.image} is empty")
        texts, code = columns.texts(row), row.cells.get("error_code")
        if texts and len(columns.captions) > 1:  # images differ in how many captions they have
            texts = [text for text in texts if text.strip()]
        place = f"line {row.line}"
        if code and texts in (None, [], [""]):
            failure = _failure(image, code, row.cells.get("error_message"))
            yield Entry(image=image, captions=(), failure=failure, place=place)
        elif texts is None:
            raise DataError(f"{path}:{row.line}: the caption of {image} is missing or not text")
        else:
            yield Entry(image=_plain(image), captions=tuple(texts), place=place)


def _columns(names: Sequence[str], first: Mapping[str, Any], keys: Sequence[str]) -> Columns | None:
    lowered = {name.lower(): name for name in names}
    image = lowered.get("image_id") or image_column(names, first) or lowered.get("id")
    predicted = [lowered[key] for key in keys if key in PREDICTION_KEYS and key in lowered]
    captions = (predicted[0],) if predicted else caption_columns(names)
    if image is None or not captions or captions == (image,):
        return None
    return Columns(image=image, captions=captions, split=None)


def _text_file(path: Path, keys: Sequence[str]) -> CaptionFile:
    """Read lines of image, tab, caption; or a table with another suffix; or only captions."""
    text = read_text(path, refusing)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    head = next(filter(str.strip, lines), "")
    if not head:
        raise DataError(f"{path} has no captions", hint=FORMS_HINT)
    table = read_table(path, [f"{head}\n"], strict=False)
    header = _columns(table.names, table.first, keys) is not None and len(table.names) > 1
    if header or ("\t" not in head and has_image_suffix(re.split(r"[,;|]", head)[0].strip())):
        return CaptionFile(entries=tuple(_table(path, text, keys)))
    if "\t" in head:
        return CaptionFile(entries=tuple(_pairs(path, enumerate(lines, start=1))))
    entries = (
        Entry(image=f"line {number}", captions=(line.strip(),), place=f"line {number}")
        for number, line in enumerate(lines, start=1)
    )
    return CaptionFile(entries=tuple(entries), numbered=True)


def _pairs(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[Entry]:
    for number, line in lines:
        if not line.strip():
            continue
        image, tab, caption = line.partition("\t")
        if not tab or not image.strip():
            raise DataError(
                f"{path}:{number}: not an image, a tab and a caption: {line[:60]!r}",
                hint="Every line must have the form of the first one.",
            )
        yield Entry(image=_plain(image), captions=(caption.strip(),), place=f"line {number}")


def _plain(image: str) -> str:
    """Return an image's name without the number of its caption (`dog.jpg#0`)."""
    name = image.strip()
    plain = _CAPTION_NUMBER.sub("", name)
    return plain if has_image_suffix(plain) else name
