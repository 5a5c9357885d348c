"""The files of one run of `capgen caption`: their journals, decisions and writers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from capgen.captioning.batch.journal import Journal, journal_path
from capgen.captioning.batch.pipeline import ImageDone
from capgen.cli.caption.decisions import open_reviews, record_to_write
from capgen.cli.caption.options import Results
from capgen.cli.console import Console
from capgen.errors import StorageError
from capgen.output.base import writing_text
from capgen.output.files import OutputFiles, Target, journaled
from capgen.output.formats import open_format
from capgen.output.imagefolder import ImageFolder
from capgen.output.stored import LocalCopies, publish
from capgen.records import Caption, Record, Unwritten
from capgen.reviews.journal import reviews_path
from capgen.reviews.reviewed_records import decided

# Tells of an image that is not in an image folder: the kind of place, and why.
Problem = Callable[[str, str], None]


@dataclass(frozen=True)
class Captioned:
    """An image for the outputs.

    Attributes:
        event: The image with its record as captioned.
        unwritten: What could not be written into it or beside it.
    """

    event: ImageDone
    unwritten: Unwritten | None = None


class CaptionOutputs:
    """Gives each output what a run with this output alone would write.

    Each has a journal of its own, since it may be written by another run alone, and a table's
    tells what a person edited. The run goes on from one of them, which first takes over what the
    others have.

    Args:
        console: Tells what stays as a person wrote it.
        targets: The outputs.
        results: How they are written.
        open_journal: Opens the journal of one.
        resume: Whether what is there counts.
    """

    def __init__(
        self,
        console: Console,
        targets: tuple[Target, ...],
        results: Results,
        open_journal: Callable[[Target], Journal],
        *,
        resume: bool,
    ) -> None:
        self._results = results
        self._main = journaled(targets)
        self._targets = targets
        self._copies = LocalCopies(targets, fetch=resume)
        self._journals: dict[Target, Journal] = {}
        with ExitStack() as opening:
            opening.callback(self._copies.close)
            self._reviews = {target: open_reviews(console, target) for target in targets}
            for target in targets:
                self._journals[target] = journal = open_journal(target)
                opening.callback(journal.close)
            if self.journal is not None and resume:
                absorb_others(self.journal, targets)
            opening.pop_all()

    @property
    def journal(self) -> Journal | None:
        """The journal that the run goes on from."""
        return None if self._main is None else self._journals[self._main]

    @property
    def thumbnails(self) -> bool:
        """Whether an output shows the images."""
        return any(target.kind.thumbnails for target in self._targets)

    def decided(self, record: Record) -> Record:
        """Return a record with the decision about it in the first output that has one."""
        for reviews in self._reviews.values():
            found = decided(record, reviews)
            if found is not record:
                return found
        return record

    @property
    def unmet(self) -> int:
        """Records of the file that the run goes on from whose images are not among the inputs."""
        if self._main is None or not self._main.kind.holds_records:
            return 0  # all stay in the journal
        return self._journals[self._main].unmet

    def shown(self, item: Captioned) -> Record:
        """Return the record that messages and counts are about: the first output's."""
        if not self._targets:
            return _with(item.event.record, item.unwritten)
        return self._record(self._targets[0], item)

    def open(
        self, on_problem: Problem, on_failure: Callable[[Target, StorageError], None]
    ) -> OutputFiles[Captioned]:
        """Return the files, to be opened."""
        return OutputFiles(self._targets, lambda target: self._open(target, on_problem), on_failure)

    def close(self, *, failed: Mapping[Target, StorageError], stopped: bool) -> list[Journal]:
        """Close the journals; return those that are kept, as their outputs do not replace them."""
        kept = []
        for target, journal in self._journals.items():
            complete = target.kind.holds_records and not stopped and target not in failed
            journal.close(remove=complete)
            if not complete:
                kept.append(journal)
        self._copies.close(complete=[each for each in self._targets if each not in failed])
        return kept

    def abandon(self) -> None:
        """Close the journals of a run that was interrupted."""
        for journal in self._journals.values():
            journal.close()
        self._copies.close()

    @contextmanager
    def _open(self, target: Target, on_problem: Problem) -> Iterator[Callable[[Captioned], None]]:
        with self._written(target, on_problem) as put:
            yield put
        publish(target)

    @contextmanager
    def _written(
        self, target: Target, on_problem: Problem
    ) -> Iterator[Callable[[Captioned], None]]:
        journal = None if target == self._main else self._journals[target]

        def keep(item: Captioned) -> None:
            record = item.event.record
            if journal is None or record.sha256 is None:
                return
            if not item.event.reused or journal.find(record.sha256, record.path) is None:
                journal.add([record])

        if target.is_image_folder:
            with writing_text(target.path) as stream:
                folder = ImageFolder(target.path.parent, stream)

                def add(item: Captioned) -> None:
                    keep(item)
                    _add(folder, item, self._record(target, item), on_problem)

                yield add
            return
        reviewed = not target.kind.holds_records and reviews_path(target.path).is_file()
        opened = open_format(
            *(target.path, target.format, self._results, self._results), reviewed=reviewed
        )
        with opened as write:

            def put(item: Captioned) -> None:
                keep(item)
                write(self._record(target, item), item.event.thumbnail)

            yield put

    def _record(self, target: Target, item: Captioned) -> Record:
        proposed = item.event.record
        found = _with(decided(proposed, self._reviews[target]), item.unwritten)
        return record_to_write(proposed, found, target)


def absorb_others(journal: Journal, targets: tuple[Target, ...]) -> None:
    """Take over what other outputs have."""
    for target in targets:
        if journal_path(target.path) != journal.path:
            journal.absorb(journal_path(target.path))
            if target.kind.holds_records:
                journal.absorb(target.path)


def _add(folder: ImageFolder, item: Captioned, record: Record, on_problem: Problem) -> None:
    rejected = isinstance(record, Caption) and record.review is not None and not record.reviewed
    if not isinstance(record, Caption) or rejected:
        return
    source = item.event.source
    if source.file is None:
        problem = f"{source.label}: not a file, so it is not in the image folder"
    else:
        problem = folder.add(source.file, record.text)
    if problem:
        on_problem("imagefolder", problem)


def _with(record: Record, unwritten: Unwritten | None) -> Record:
    return replace(record, unwritten=unwritten) if isinstance(record, Caption) else record
