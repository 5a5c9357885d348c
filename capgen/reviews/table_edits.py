"""Captions that a person changed in a table, found by the journal of the run that wrote it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from capgen.overwriting import JOURNAL_SUFFIX
from capgen.records import Caption, Record, Review
from capgen.reviews.records_files import LINES, Fault, records_in
from capgen.tables.rows import is_table


class _Key(NamedTuple):
    """What a run captioned: another model, or other settings, propose something else."""

    path: str | None
    sha256: str | None = None
    model: str = ""
    revision: str = ""
    settings: str = ""


def with_edits(path: Path, records: Iterable[Record | Fault]) -> Iterator[Record | Fault]:
    """Yield a table's records, with reviews where a caption is not what a run proposed.

    Args:
        path: The table. Without the journal of a run beside it, nothing is known of edits. In
            other files nobody edits captions.
        records: Its records.
    """
    if not is_table(path) or path.suffix.lower() in LINES:
        yield from records
        return
    proposed = _proposed(path.with_name(path.name + JOURNAL_SUFFIX))
    for record in records:
        yield _with_edit(record, proposed) if isinstance(record, Caption) else record


def is_later(own: Review, known: Review, earlier: Iterable[Review] = ()) -> bool:
    """Whether a decision in a table was made after the one that the journal of decisions has.

    A table that was written with a decision has its time: what differs from it was changed since.

    Args:
        own: The table's decision.
        known: The journal's decision that counts.
        earlier: All that the journal has about the image: what is among it was replaced there.
    """
    if own.at:
        return own.at == known.at and not same_decision(own, known)
    replaced = any(same_decision(own, each) for each in earlier)
    return not replaced and own.caption not in (known.caption, known.proposed)


def same_decision(first: Review, second: Review) -> bool:
    """Whether two reviews have the same verdict and text, whoever decided and when."""
    return (first.verdict, first.caption) == (second.verdict, second.caption)


def _proposed(journal: Path) -> dict[_Key, list[str]]:
    """Return what runs proposed for each image, the last text last."""
    found: dict[_Key, list[str]] = defaultdict(list)
    if journal.is_file():
        for record in records_in(journal):
            if isinstance(record, Caption):
                found[_key(record)].append(record.text)
                found[_Key(record.path)].append(record.text)
    return found


def _key(record: Caption) -> _Key:
    """Return the key of a record; of a table with fewer columns only the path is known."""
    if not record.model:
        return _Key(record.path)
    settings = json.dumps(dict(record.settings), sort_keys=True)
    return _Key(record.path, record.sha256, record.model, record.revision, settings)


def _with_edit(record: Caption, proposed: dict[_Key, list[str]]) -> Caption:
    texts = proposed.get(_key(record), [])
    if record.review is not None or not texts or record.text in texts:
        return record
    return replace(record, review=Review(verdict="edited", proposed=texts[-1], caption=record.text))
