"""`capgen caption` with one image: its caption, and how it came about.

Most of the time goes into starting the process, so this module imports only what it needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from capgen.cli.caption.options import Look, Results
from capgen.cli.console import Console, caption_fields
from capgen.config import DecodeOptions, ImageLimits, TagOptions
from capgen.errors import UsageError
from capgen.output.tags import tags_of
from capgen.paths import is_folder
from capgen.records import CaptionFailure, Record

if TYPE_CHECKING:
    from capgen.captioning.captioner import Captioner


class Way(NamedTuple):
    """How `capgen caption` handles what was named.

    Attributes:
        kind: `look` into the caption of one image, print that of `one` image, or caption `many`.
        image: The one image; empty for many.
    """

    kind: Literal["look", "one", "many"]
    image: str = ""


def choose_way(look: Look, alone: str | None, *, writes: bool, format: str) -> Way:
    """Choose how to caption what was named: `alone`, if it is a single file.

    `writes` tells whether captions are written anywhere but to stdout, whose format is `format`.
    """
    printed = alone is not None and not writes
    if look.asked and (not printed or format == "jsonl"):
        raise UsageError(
            f"{look.flag} takes one image and prints its caption",
            hint="Leave out other images, -o, --sidecar and --write-metadata.",
        )
    if alone is None or not printed:
        return Way("many")
    if look.asked:
        return Way("look", alone)
    return Way("one", alone) if format == "text" else Way("many")


def caption_one(
    console: Console,
    captioner: Captioner,
    image: str,
    options: DecodeOptions,
    limits: ImageLimits,
    tags: TagOptions,
) -> bool:
    """Caption one image, print its captions, and return whether it failed."""
    settings, notes = captioner.settings(options)
    prepared = captioner.prepare(image, limits=limits)
    record: Record
    if isinstance(prepared, CaptionFailure):
        record = prepared
    else:
        # The revision is not shown: files of gigabytes need not be hashed for it.
        revision = captioner.model.revision
        (record,) = captioner.caption_prepared([prepared], settings, notes, revision=revision)
    return _print(console, record, options.confidence, tags)


def look_into(
    console: Console,
    load: Callable[[], Captioner],
    image: str,
    options: DecodeOptions,
    limits: ImageLimits,
    look: Look,
    results: Results,
) -> None:
    from capgen.cli.caption.explain import check_explanation, debug_image, explain_image

    if look.explain is not None:
        check_explanation(look.explain)
    captioner = load()
    if look.explain is not None:
        caption = explain_image(captioner, image, options, limits, look.explain)
        console.note(f"where the model looked: {look.explain}")
        if not look.debug and results.as_json:
            console.json([caption.to_dict()])
        elif not look.debug:
            _print(console, caption, options.confidence, results)
    if look.debug:
        debug_image(
            console,
            captioner,
            image,
            options,
            limits,
            save_input=look.save_input,
            as_json=results.as_json,
        )


def _print(console: Console, record: Record, scores: bool, tags: TagOptions) -> bool:
    if isinstance(record, CaptionFailure):
        missing = record.code == "missing" and not record.hint
        hint = _closest_name(record.path or "") if missing else record.hint
        console.error(record.message, hint, fields={"path": record.path, "code": record.code})
        return True
    for note in record.notes:
        console.note(note)
    if record.retry is not None and not record.retry.resolved:
        console.note(f"the caption is still {record.retry.reason} after trying again")
    for caption in (record, *record.alternatives):
        console.data(caption_fields(caption, scores, tags_of(record, tags)))
    return False


def _closest_name(path: str) -> str:
    """Return a hint with the file whose name is closest to a missing one, if there is one."""
    import difflib

    from capgen.images.decoders import printable

    folder = Path(path).parent
    readable = is_folder(folder) and os.access(folder, os.R_OK)
    names = [entry.name for entry in folder.iterdir()] if readable else []
    close = difflib.get_close_matches(Path(path).name, names, n=1)
    return f"Did you mean '{printable(folder / close[0])}'?" if close else ""
