"""What `capgen caption` writes beside images and into them, and the captions nothing took."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from capgen.captioning.batch.pipeline import ImageDone
from capgen.captioning.batch.sources import Source
from capgen.images.metadata.write import MetadataWriter
from capgen.output.sidecars import Sidecars
from capgen.records import Caption, Record, Unwritten, WriteOutcome
from capgen.temporary_files import remove_leftovers


class BesideWriters:
    """Writes captions into images, and sidecars.

    Args:
        metadata: Writes into images, or None.
        sidecars: Writes beside them, or None.
    """

    def __init__(self, metadata: MetadataWriter | None, sidecars: Sidecars | None) -> None:
        self.metadata = metadata
        self.sidecars = sidecars

    def __bool__(self) -> bool:
        return self.metadata is not None or self.sidecars is not None

    def write(self, event: ImageDone) -> tuple[ImageDone, dict[str, str], bool]:
        """Write one image's caption.

        Returns:
            The image with what could not be written in its record; that by the code of its
            place; and whether a place took the caption.

        Raises:
            StorageError: No space is left, or the undo file cannot be written.
        """
        if not isinstance(event.record, Caption):
            return event, {}, True
        outcomes = dict(self._outcomes(event, event.record))
        problems = {code: outcome.problem for code, outcome in outcomes.items() if outcome.problem}
        for code, problem in problems.items():
            event = replace(event, record=_with_problem(event.record, code, problem))
        return event, problems, any(outcome.written for outcome in outcomes.values())

    def _outcomes(self, event: ImageDone, record: Caption) -> Iterator[tuple[str, WriteOutcome]]:
        file, label = event.source.file, event.source.label
        if self.metadata is not None:
            no_file = f"{label}: not a file, so no caption is written into it"
            yield (
                "metadata",
                WriteOutcome(no_file) if file is None else self.metadata.write(file, record.text),
            )
        if self.sidecars is not None:
            no_file = f"{label}: not a file, so it has no sidecar"
            yield (
                "sidecar",
                WriteOutcome(no_file) if file is None else self.sidecars.write(file, record),
            )


def sweeping(sources: Iterable[Source]) -> Iterator[Source]:
    """Pass images on; remove the temporary files that killed runs left in their folders."""
    swept: set[Path] = set()
    for source in sources:
        if source.file is not None:
            # An image that is a link is written where it leads to.
            for folder in {source.file.parent, Path(os.path.realpath(source.file)).parent}:
                if folder not in swept:
                    swept.add(folder)
                    remove_leftovers(folder)
        yield source


def _with_problem(record: Record, code: str, problem: str) -> Record:
    """Return a record that says what could not be written, after what it says already."""
    if not isinstance(record, Caption):
        return record
    before = record.unwritten
    if before is None:
        return replace(record, unwritten=Unwritten(code=code, message=problem))
    return replace(record, unwritten=replace(before, message=f"{before.message}; {problem}"))
