"""What each window did, so that it can take it back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from capgen.reviews.journal import Decision

_MOST_WINDOWS = 64
_MOST_STEPS = 500


@dataclass
class Done:
    """One decision of a step.

    Attributes:
        id: The image.
        before: The image's version before the decision.
        after: Its version since.
        back: The decision that restores what was there.
    """

    id: int
    before: int
    after: int
    back: Decision


class Steps:
    """The steps of each window, oldest first. Of many, the oldest are forgotten."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, list[list[Done]]] = OrderedDict()

    def add(self, window: str, step: list[Done]) -> None:
        """Add what a window did at once."""
        steps = self._windows.setdefault(window, [])
        self._windows.move_to_end(window)
        steps.append(step)
        del steps[:-_MOST_STEPS]
        while len(self._windows) > _MOST_WINDOWS:
            self._windows.popitem(last=False)

    def last(self, window: str) -> list[Done] | None:
        """Return a window's last step, or None."""
        steps = self._windows.get(window)
        return steps[-1] if steps else None

    def drop_last(self, window: str) -> None:
        """Forget a window's last step, which cannot be taken back any more."""
        self._windows[window].pop()

    def taken_back(self, window: str, versions: Sequence[int]) -> None:
        """Forget a window's last step, whose images have these versions now.

        If the step before it in this window was the last to change an image, the image is again as
        that step left it, and the step can be taken back as well.
        """
        step = self._windows[window].pop()
        for done, version in zip(step, versions, strict=True):
            for earlier in self._windows[window]:
                for other in earlier:
                    if other.id == done.id and other.after == done.before:
                        other.after = version
