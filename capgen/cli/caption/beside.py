"""Writes captions into images and beside them for `capgen caption`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from capgen.captioning.batch.pipeline import ImageDone
from capgen.captioning.batch.sources import Source
from capgen.cli.console import Console
from capgen.config import NO_TAGS, TagOptions
from capgen.images.metadata.write import MetadataWriter
from capgen.output.sidecars import Sidecars
from capgen.output.tags import tags_of
from capgen.records import Caption, Record, Unwritten, WriteOutcome
from capgen.temporary_files import remove_leftovers
from capgen.undo import UndoFile


class BesideWriters:
    """Writes captions into images, and sidecars.

    Args:
        undo: Where both record changes, or None if neither is asked for.
        metadata: Writes into images, or None.
        sidecars: Writes beside them, or None.
        tags: Which tags are written, too.

    Attributes:
        beside_instead: How many images could not hold their captions, which are in XMP sidecars.
        kept: How many captions were not written because a sidecar keeps another text.
        skipped: How many images were not captioned because of that.
    """

    def __init__(
        self,
        undo: UndoFile | None,
        metadata: MetadataWriter | None,
        sidecars: Sidecars | None,
        tags: TagOptions = NO_TAGS,
    ) -> None:
        self.undo = undo
        self.metadata = metadata
        self.sidecars = sidecars
        self.tags = tags
        self.beside_instead = self.kept = self.skipped = 0

    def write(self, event: ImageDone) -> tuple[ImageDone, dict[str, str], bool]:
        """Write the caption of one image.

        Returns:
            The event, with problems added to its record; the problems by their code; and
            whether the caption was written anywhere.

        Raises:
            StorageError: No space is left, or the undo file cannot be written.
        """
        if not isinstance(event.record, Caption):
            return event, {}, False
        outcomes = dict(self._outcomes(event, event.record))
        self.kept += "sidecar" in outcomes and outcomes["sidecar"].kept
        if self._is_beside_instead(outcomes):
            self.beside_instead += 1
            del outcomes["metadata"]
        problems = {code: outcome.problem for code, outcome in outcomes.items() if outcome.problem}
        for code, problem in problems.items():
            event = replace(event, record=_with_problem(event.record, code, problem))
        return event, problems, any(outcome.written for outcome in outcomes.values())

    def without_sidecars(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Yield the sources without a sidecar that must stay, and count the others."""
        for source in sources:
            if (
                source.file is None
                or self.sidecars is None
                or not self.sidecars.leaves(source.file)
            ):
                yield source
            else:
                self.skipped += 1

    def summarise(self, console: Console) -> None:
        """Say how many images were changed, and what stays as it was."""
        if self.metadata is not None:
            verb = "would be written" if self.metadata.dry_run else "written"
            only = f"; {self.beside_instead} only into XMP sidecars" if self.beside_instead else ""
            what = "captions and tags" if self.tags.tags else "captions"
            console.note(f"{what} {verb} into {self.metadata.changed} images{only}")
            if self.metadata.kept:
                many = _keep(self.metadata.kept, "image")
                option = "--on-description append or replace"
                console.note(f"{many} a description that a person wrote: {option} changes that")
        if self.kept + self.skipped:
            many = _keep(self.kept + self.skipped, "sidecar")
            console.note(f"{many} what is there: --on-existing append or overwrite changes that")

    def _is_beside_instead(self, outcomes: dict[str, WriteOutcome]) -> bool:
        if self.metadata is None or self.sidecars is None or not self.sidecars.holds_xmp:
            return False
        return outcomes["metadata"].refused and not outcomes["sidecar"].problem

    def _outcomes(self, event: ImageDone, record: Caption) -> Iterator[tuple[str, WriteOutcome]]:
        file, label = event.source.file, event.source.label
        tags = tags_of(record, self.tags)
        if self.metadata is not None:
            no_file = f"{label}: not a file, so its caption is not written into it"
            outcome = WriteOutcome(no_file)
            if file is not None:
                outcome = self.metadata.write(file, record.text, tags)
            yield "metadata", outcome
        if self.sidecars is not None:
            no_file = f"{label}: not a file, so it has no sidecar"
            outcome = WriteOutcome(no_file)
            if file is not None:
                outcome = self.sidecars.write(file, record, tags)
            yield "sidecar", outcome


def _keep(count: int, what: str) -> str:
    return f"1 {what} keeps" if count == 1 else f"{count} {what}s keep"


def sweeping(sources: Iterable[Source]) -> Iterator[Source]:
    """Yield the sources, and remove temporary files that killed runs left in their folders."""
    swept: set[Path] = set()
    for source in sources:
        if source.file is not None:
            # An image that is a link is written where the link leads.
            for folder in {source.file.parent, Path(os.path.realpath(source.file)).parent}:
                if folder not in swept:
                    swept.add(folder)
                    remove_leftovers(folder)
        yield source


def _with_problem(record: Record, code: str, problem: str) -> Record:
    if not isinstance(record, Caption):
        return record
    before = record.unwritten
    if before is None:
        return replace(record, unwritten=Unwritten(code=code, message=problem))
    return replace(record, unwritten=replace(before, message=f"{before.message}; {problem}"))
