"""The files that applied records are written to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from capgen.applying.apply import Applied
from capgen.config import CsvOptions, TagOptions
from capgen.errors import StorageError
from capgen.output.base import writing_text
from capgen.output.beside import with_problem
from capgen.output.files import OutputFiles, Target
from capgen.output.formats import open_format
from capgen.output.imagefolder import ImageFolder
from capgen.output.stored import LocalCopies, publish
from capgen.records import Caption


class AppliedOutputs:
    """Writes applied records to files.

    Args:
        targets: The files.
        csv: How tables are written.
        tags: Which tags are written.
        reviewed: Whether a record has a review.
        dry_run: Write nothing, but find what could not be.
    """

    def __init__(
        self,
        targets: tuple[Target, ...],
        csv: CsvOptions,
        tags: TagOptions,
        *,
        reviewed: bool,
        dry_run: bool,
    ) -> None:
        self._targets = targets
        self._csv, self._tags, self._reviewed = csv, tags, reviewed
        self._dry_run = dry_run
        self._problems: list[str] = []

    def open(self, on_failure: Callable[[Target, StorageError], None]) -> OutputFiles[Applied]:
        """Return the files, to be opened."""
        return OutputFiles(self._targets, self._open, on_failure)

    def with_problems(self, done: Applied) -> Applied:
        """Return what was written last, with what kept its image out of an image folder."""
        problems, self._problems = self._problems, []
        record = done.record
        for problem in problems:
            if isinstance(record, Caption):
                record = with_problem(record, "imagefolder", problem)
        told = tuple((problem, "") for problem in problems)
        return replace(done, record=record, problems=(*done.problems, *told))

    @contextmanager
    def _open(self, target: Target) -> Iterator[Callable[[Applied], None]]:
        if target.is_image_folder:
            with self._image_folder(target) as folder:
                yield lambda done: self._add(folder, done)
        elif self._dry_run:
            yield lambda done: None
        else:
            opened = open_format(
                *(target.path, target.format, self._csv, self._tags), reviewed=self._reviewed
            )
            with LocalCopies([target], fetch=False), opened as write:
                yield lambda done: write(done.record, done.thumbnail)
            publish(target)

    @contextmanager
    def _image_folder(self, target: Target) -> Iterator[ImageFolder]:
        if self._dry_run:
            yield ImageFolder(target.path.parent, None)
            return
        with writing_text(target.path) as stream:
            yield ImageFolder(target.path.parent, stream)

    def _add(self, folder: ImageFolder, done: Applied) -> None:
        record = done.record
        if done.image is None or not isinstance(record, Caption):
            return
        if record.review is None or record.review.kept:
            problem = folder.add(done.image, record.text)
            self._problems += [problem] if problem else []
