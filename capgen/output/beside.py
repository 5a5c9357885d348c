"""Writes captions into images and beside them, in one pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from capgen.config import NO_TAGS, TagOptions
from capgen.images.metadata.write import MetadataWriter
from capgen.output.sidecars import Sidecars
from capgen.output.tags import tags_of
from capgen.records import Caption, Record, Unwritten, WriteOutcome
from capgen.temporary_files import remove_leftovers
from capgen.undo_file import UndoFile

_MOST_NAMES = 3  # of sidecars that stay, in the summary


@dataclass(frozen=True)
class WrittenBeside:
    """What became of one record.

    Attributes:
        record: The record, with the problems in it.
        problems: The problems by their code.
        written: Whether the caption is written anywhere.
        already: Whether it was there before, wherever that is.
    """

    record: Record
    problems: dict[str, str] = field(default_factory=dict)
    written: bool = False
    already: bool = False


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
        passed_over: How many images were passed over because of that.
        kept_names: The first of those sidecars.
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
        self.beside_instead = self.kept = self.passed_over = 0
        self.kept_names: list[str] = []
        self._swept: set[Path] = set()

    def passes_over(self, file: Path | None) -> bool:
        """Whether an image has a sidecar that must stay as it is; counts such images."""
        self._sweep(file)
        leaves = file is not None and self.sidecars is not None and self.sidecars.leaves(file)
        self.passed_over += leaves
        self._name_kept(file, leaves)
        return leaves

    def write(self, record: Record, file: Path | None, label: str) -> WrittenBeside:
        """Write the caption of one image, which messages call `label`, unless it was rejected.

        Raises:
            StorageError: No space is left, or the undo file cannot be written.
        """
        rejected = isinstance(record, Caption) and record.review and not record.review.kept
        if not isinstance(record, Caption) or rejected:
            return WrittenBeside(record)
        self._sweep(file)
        outcomes = dict(self._outcomes(record, file, label))
        kept = "sidecar" in outcomes and outcomes["sidecar"].kept
        self.kept += kept
        self._name_kept(file, kept)
        if self._is_beside_instead(outcomes):
            self.beside_instead += 1
            del outcomes["metadata"]
        problems = {code: outcome.problem for code, outcome in outcomes.items() if outcome.problem}
        places = [outcome for outcome in outcomes.values() if outcome.written]
        already = bool(places) and all(outcome.already for outcome in places)
        for code, problem in problems.items():
            record = with_problem(record, code, problem)
        return WrittenBeside(record, problems, bool(places), already)

    def holds(self, file: Path, caption: str) -> bool:
        """Whether an image or its sidecar has a caption as capgen wrote it."""
        with suppress(OSError):
            if self.metadata is not None and self.undo is not None:
                found = self.undo.caption_of(file.read_bytes(), reviewed=True)
                if found == caption:
                    return True
            return self.sidecars is not None and self.sidecars.holds(file, caption)
        return False

    def _name_kept(self, file: Path | None, kept: bool) -> None:
        room = len(self.kept_names) < _MOST_NAMES
        if kept and room and file is not None and self.sidecars is not None:
            self.kept_names.append(str(self.sidecars.path(file)))

    def _sweep(self, file: Path | None) -> None:
        """Remove temporary files that killed runs left where this one writes."""
        if file is None or self.undo is None:
            return
        # An image that is a link is written where the link leads.
        for folder in {file.parent, Path(os.path.realpath(file)).parent} - self._swept:
            self._swept.add(folder)
            remove_leftovers(folder)

    def _is_beside_instead(self, outcomes: dict[str, WriteOutcome]) -> bool:
        if self.metadata is None or self.sidecars is None or not self.sidecars.holds_xmp:
            return False
        return outcomes["metadata"].refused and not outcomes["sidecar"].problem

    def _outcomes(
        self, record: Caption, file: Path | None, label: str
    ) -> Iterator[tuple[str, WriteOutcome]]:
        tags = tags_of(record, self.tags)
        if self.metadata is not None:
            no_file = f"{label}: not a file, so its caption is not written into it"
            outcome = WriteOutcome(no_file)
            if file is not None:
                outcome = self.metadata.write(file, record.text, tags, reviewed=record.reviewed)
            yield "metadata", outcome
        if self.sidecars is not None:
            no_file = f"{label}: not a file, so it has no sidecar"
            outcome = WriteOutcome(no_file)
            if file is not None:
                outcome = self.sidecars.write(file, record, tags)
            yield "sidecar", outcome


def with_problem(record: Caption, code: str, problem: str, hint: str = "") -> Caption:
    """Return a caption that could not be written, after any other problem that it had."""
    before = record.unwritten
    if before is None:
        return replace(record, unwritten=Unwritten(code=code, message=problem, hint=hint))
    return replace(record, unwritten=replace(before, message=f"{before.message}; {problem}"))
