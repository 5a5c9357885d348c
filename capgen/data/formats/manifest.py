"""capgen's own format: a JSON Lines file with a header, then one image per line.

Installed data sets have it beside their images, and `doctor --fix` writes it. Images are
named relative to the file, or absolutely if they are elsewhere.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Problem, Report
from capgen.data.text_files import read_lines
from capgen.errors import DataError
from capgen.known_fields import from_known_fields
from capgen.paths import writing
from capgen.records import SCHEMA_VERSION, Example

DESCRIPTION = (
    "`capgen-dataset.jsonl`: a header, then `image_id`, `image`, `references`, `split` per line"
)
FILE_NAME = "capgen-dataset.jsonl"
LANGUAGE_HINT = "Examples: en, de, pt-BR."
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")  # of BCP 47
MOST_REPEATS = 999
_KIND = "capgen-dataset"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a data set records about itself.

    Attributes:
        name: Name it is installed under.
        source: Where it came from: addresses, or the folder it was imported from.
        format: The format it was read from.
        split_source: `official`, or how the split was drawn.
        licence: Its licence.
        terms: What the source asks of users.
        citation: What to cite.
        checksums: Checksum of each downloaded file.
        language: The captions' language as in BCP 47: `en`, `pt-BR`.
        reviews: Of reviewed captions, how many have which verdict, by whom and of which models.
    """

    name: str
    source: str = ""
    format: str = ""
    split_source: str = "official"
    licence: str = ""
    terms: str = ""
    citation: str = ""
    checksums: dict[str, str] | None = None
    language: str = ""
    reviews: dict[str, Any] | None = None


def manifest_file(root: Path) -> Path | None:
    """Return the manifest of a folder, or `root` itself if it is one."""
    path = root / FILE_NAME if root.is_dir() else root
    if not path.is_file() or path.suffix != ".jsonl":
        return None
    with path.open("rb") as file:
        return path if b'"capgen-dataset"' in file.readline(65536) else None


def read_header(root: Path) -> Header:
    """Return the header of a manifest."""
    return _header(_existing(root))


def _existing(root: Path) -> Path:
    path = manifest_file(root)
    if path is None:
        raise DataError(f"No {FILE_NAME} in {root}")
    return path


def _header(path: Path) -> Header:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        record = _parse(file.readline())
    if record is None or record.get("kind") != _KIND or not isinstance(record.get("name"), str):
        raise DataError(f"{path}:1: not the header of a capgen data set")
    language = record.get("language") or ""
    if language and not (isinstance(language, str) and LANGUAGE_TAG.fullmatch(language)):
        raise DataError(
            f"{path}:1: language is {language!r}; it must be a BCP 47 tag", hint=LANGUAGE_HINT
        )
    return from_known_fields(Header, record)


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read a manifest."""
    path = _existing(root)
    _header(path)
    base = options.images or path.parent
    collector = Collector(report)
    for number, line in read_lines(path, report):
        if number == 1:
            continue
        record = _parse(line)
        if record is None or not _is_entry(record):
            message = f"expected image_id, image, references and split, not {line[:60]!r}"
            report(Problem(code="malformed_line", message=message, file=path, line=number))
            continue
        for text in record["references"]:
            collector.caption(record["image_id"], base / record["image"], text, path, number)
        collector.split(record["image_id"], record["split"], path, number)
        collector.repeats(record["image_id"], record.get("repeats", 1))
    return collector.reading()


def write(path: Path, header: Header, examples: Iterable[Example]) -> None:
    """Write a manifest atomically; images below its folder are named relative to it."""
    base = path.parent.resolve()
    first = {"schema_version": SCHEMA_VERSION, "kind": _KIND, **asdict(header)}
    if header.reviews is None:
        del first["reviews"]  # the headers of other data sets stay as they were
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(first, ensure_ascii=False) + "\n")
        for example in examples:
            record: dict[str, Any] = {
                "image_id": example.image_id,
                "image": _relative(example.image, base),
                "references": list(example.references),
                "split": example.split,
            }
            if example.repeats != 1:
                record["repeats"] = example.repeats
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _relative(image: Path, base: Path) -> str:
    # Not resolve(): an image that is a link keeps its place in the folder.
    absolute = Path(os.path.abspath(image))  # noqa: PTH100
    for folder in (base, Path(os.path.abspath(base))):  # noqa: PTH100
        if absolute.is_relative_to(folder):
            return absolute.relative_to(folder).as_posix()
    return str(absolute)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # or a number of more digits than Python reads
        return None
    return record if isinstance(record, dict) else None


def _is_entry(record: dict[str, Any]) -> bool:
    texts = record.get("references")
    named = all(isinstance(record.get(key), str) for key in ("image_id", "image", "split"))
    repeats = record.get("repeats", 1)
    counted = type(repeats) is int and 1 <= repeats <= MOST_REPEATS
    texts_given = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    return named and counted and texts_given
