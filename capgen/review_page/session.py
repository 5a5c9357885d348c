"""A review in progress: the images, what was decided about them, and by which window."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from capgen.errors import UsageError
from capgen.metrics.people import names_a_person
from capgen.records import Review
from capgen.review_page.changes import Change, review_of
from capgen.review_page.items import Item, Items
from capgen.review_page.undoing import Done, Steps
from capgen.reviews.journal import Decision, ReviewJournal
from capgen.reviews.judgement import Judgement, judgements
from capgen.reviews.reviewed_records import counting_review

# A row of the page's list, as JSON.
Row = dict[str, Any]


class ConflictError(Exception):
    """Another window decided something else meanwhile.

    Args:
        ids: The images that it changed.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__(f"changed in another window: {len(ids)}")
        self.ids = ids


class ReviewSession:
    """Decides about images, in the journal first. Thread-safe.

    Args:
        items: The images.
        journal: Where decisions go.
        by: Who decides.
        missing: The ids of images whose file is not there.
    """

    def __init__(
        self, items: Items, journal: ReviewJournal, by: str, missing: Collection[int] = ()
    ) -> None:
        self.items = items
        self.by = by
        self._journal = journal
        self._missing = frozenset(missing)
        self._steps = Steps()
        self._lock = threading.Lock()
        self._with_bytes: dict[str, list[int]] = defaultdict(list)
        self._named: dict[str, list[int]] = defaultdict(list)
        for item in items.by_id.values():
            if item.key.sha256 is not None:
                self._with_bytes[item.key.sha256].append(item.id)
            elif item.key.path is not None:
                self._named[item.key.path].append(item.id)

    def item(self, number: int) -> Item:
        """Return an image; KeyError if there is none with this id."""
        return self.items.by_id[number]

    def review(self, item: Item) -> Review | None:
        """Return the decision about an image that counts now."""
        return counting_review(item.review, item.key, item.proposed, self._journal.reviews)

    def caption(self, item: Item) -> str | None:
        """Return the caption that an image has now: a person's, or the proposed one."""
        review = self.review(item)
        return review.caption if review is not None and review.kept else item.proposed

    def version(self, item: Item) -> int:
        """Return how often something was decided about an image."""
        return self._journal.reviews.version(item.key)

    def history(self, item: Item) -> list[Review | None]:
        """Return what was decided about an image, oldest first; None took a decision back."""
        return [decision.review for decision in self._journal.reviews.history(item.key)]

    def row(self, item: Item) -> Row:
        """Return an image's row in the list."""
        review, caption = self.review(item), self.caption(item)
        return {
            "id": item.id,
            "path": item.key.path,
            "caption": caption,
            "proposed": item.proposed,
            "verdict": None if review is None else review.verdict,
            "confidence": item.confidence,
            "person": caption is not None and names_a_person(caption),
            "error": item.error,
            "missing": item.id in self._missing,
            "version": self.version(item),
        }

    def rows(self, ids: Iterable[int] | None = None) -> list[Row]:
        """Return the rows of images, by default of all."""
        wanted = self.items.by_id if ids is None else ids
        return [self.row(self.items.by_id[number]) for number in wanted]

    def decide(self, window: str, changes: Sequence[Change]) -> list[int]:
        """Decide; what is decided is on the disk when this returns.

        Args:
            window: Which window asks.
            changes: What it asks for, an image at most once.

        Returns:
            The ids of all images that changed: copies of an image change with it.

        Raises:
            UsageError: A change is not possible; then nothing is changed.
            ConflictError: A version is old; then nothing is changed.
            StorageError: It cannot be saved; then nothing is changed.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self._check(changes)
            step = [self._step(self.item(change.id)) for change in changes]
            self._journal.add(
                [decision for change in changes for decision in self._decisions(change, at)]
            )
            for done in step:
                done.after = self.version(self.item(done.id))
            if step:
                self._steps.add(window, step)
        return self._changed(change.id for change in changes)

    def undo(self, window: str) -> list[int]:
        """Take back the last step of a window.

        Returns:
            The ids of all images that changed.

        Raises:
            LookupError: The window did nothing, or has taken back all it did.
            ConflictError: Another window changed one of the images since. The step is forgotten.
            StorageError: It cannot be saved; then nothing is changed.
        """
        with self._lock:
            step = self._steps.last(window)
            if step is None:
                raise LookupError("nothing to undo")
            changed = [done.id for done in step if self.version(self.item(done.id)) != done.after]
            if changed:
                self._steps.drop_last(window)
                raise ConflictError(changed)
            self._journal.add([done.back for done in step])
            self._steps.taken_back(window, [self.version(self.item(done.id)) for done in step])
        return self._changed(done.id for done in step)

    def counts(self) -> dict[str, int]:
        """Return the number of images by verdict, and of those `left`, without one."""
        counts = dict.fromkeys(("accepted", "edited", "rejected", "left"), 0)
        for item in self.items.by_id.values():
            review = self.review(item)
            counts["left" if review is None else review.verdict] += 1
        return counts

    def left(self) -> list[Item]:
        """Return the images without a decision."""
        return [item for item in self.items.by_id.values() if self.review(item) is None]

    def judged(self) -> list[Judgement]:
        """Return what decisions say about the captions that they are about."""
        decided = [item for item in self.items.by_id.values() if self.review(item) is not None]
        return judgements([item.record for item in decided], self._journal.reviews)

    def _check(self, changes: Sequence[Change]) -> None:
        if len({change.id for change in changes}) < len(changes):
            raise UsageError("An image is changed twice")
        for change in changes:
            item = self.items.by_id.get(change.id)
            if item is None:
                raise UsageError(f"There is no image {change.id}")
            if item.key == (None, None):
                raise UsageError("This record names no image, so nothing can be decided about it")
        old = [each.id for each in changes if self.version(self.item(each.id)) != each.version]
        if old:
            raise ConflictError(old)

    def _decisions(self, change: Change, at: str) -> list[Decision]:
        """Return what a change adds to the journal.

        That begins with the file's own review if that counted until now: what the journal has had
        does not count as a later change of the file.
        """
        item = self.item(change.id)
        asked = None
        if change.verdict is not None:
            asked = review_of(change, item.proposed, self.caption(item), self.by, at)
        before = [Decision(item.key, item.review)] if self._counts_itself(item) else []
        return [*before, Decision(item.key, asked)]

    def _step(self, item: Item) -> Done:
        before = self.version(item)
        own = [d for d in self._journal.reviews.history(item.key) if d.key == item.key]
        back = own[-1] if own else Decision(item.key, None)
        if self._counts_itself(item):
            back = Decision(item.key, item.review)
        return Done(item.id, before, before, back)

    def _counts_itself(self, item: Item) -> bool:
        """Whether the review that counts is the one in the file."""
        return item.review is not None and self.review(item) is item.review

    def _changed(self, ids: Iterable[int]) -> list[int]:
        """Return these ids and those of copies, in the order of the file."""
        found: set[int] = set()
        for number in ids:
            key = self.item(number).key
            found.add(number)
            found.update(self._with_bytes.get(key.sha256 or "", ()))
            found.update(self._named.get(key.path or "", ()))
        return sorted(found)
