"""Prints the records of many images on stdout, in the format that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from capgen.cli.caption.options import Results
from capgen.cli.console import Console, caption_fields
from capgen.output.escaping import one_line
from capgen.output.tags import tags_of
from capgen.records import Caption, Record

# Also gets whether the caption was written beside the image or into it.
RecordPrinter = Callable[[Record, bool], None]


@contextmanager
def open_printer(
    console: Console, format: str, results: Results, *, alone: str | None
) -> Iterator[RecordPrinter]:
    """Yield what prints records; of text only the captions that are written nowhere.

    Args:
        console: Where.
        format: `json`, `jsonl` or `text`.
        results: What is printed with captions.
        alone: The only name that was given, or None. Such an image is printed without its path.
    """
    if format == "json":
        records: list[Record] = []
        yield lambda record, written: records.append(record)
        console.json([record.to_dict() for record in records])
    elif format == "jsonl":
        yield lambda record, written: console.record(record)
    else:
        yield (
            lambda record, written: (
                None if written else _print_captions(console, record, record.path != alone, results)
            )
        )


def _print_captions(console: Console, record: Record, with_path: bool, results: Results) -> None:
    if isinstance(record, Caption):
        tags = tags_of(record, results)
        for caption in (record, *record.alternatives):
            if with_path:  # a line for each caption, whatever is in it
                caption = replace(caption, text=one_line(caption.text))
            line = caption_fields(caption, results.scores, tags)
            console.data(f"{one_line(record.path or '')}\t{line}" if with_path else line)
