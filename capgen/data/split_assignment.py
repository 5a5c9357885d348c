"""Which split each image of a data set is in: the source's, and those drawn where it has none.

A source that assigns only train lacks val and test: they are drawn from its training images.
One that has val besides train, as COCO 2017, lacks test on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from capgen.config import flag_name
from capgen.data.formats.reading import Reading
from capgen.data.splits import DRAWN, SplitOptions, seeded_split
from capgen.errors import UsageError

OFFICIAL = "official"


@dataclass(frozen=True, kw_only=True)
class SplitAssignment:
    """The splits of a data set.

    Attributes:
        splits: The split of each image.
        source: `official`, or how splits were drawn, seed included.
        undecided: Of val and test, those that the source leaves to `SplitOptions`.
    """

    splits: Mapping[str, str]
    source: str
    undecided: frozenset[str]


def assign_splits(
    reading: Reading, image_ids: Iterable[str], options: SplitOptions, *, recorded: str = ""
) -> SplitAssignment:
    """Return the splits of what was read.

    Args:
        reading: What was read. Its splits hold, even those of images that are missing.
        image_ids: The images that are there, from which splits are drawn.
        options: How to draw.
        recorded: How a data set that is installed came to its splits, as its header says.
            They stay: a run or a calibration may depend on them.

    Raises:
        UsageError: A share was given for a split that the source has, or that it has too
            few images for.
    """
    there = set(image_ids)
    given = {entry.image_id: entry.split or "none" for entry in reading.entries}
    own = set(given.values()) - {"none"} if reading.has_splits else set()
    undecided = frozenset(DRAWN if not own else set(DRAWN) - own if "train" in own else ())
    _check_undecided(options, undecided, own)
    final = bool(own) and recorded != ""
    shares = {
        split: options.share(split, drawn=not final and not (split == "test" and "val" in own))
        for split in DRAWN
        if split in undecided
    }
    if not own:
        pool = there
        given = {}
    else:
        pool = {image_id for image_id in there if given[image_id] == "train"}
    if any(shares.values()):
        given |= seeded_split(pool, shares, options)
    elif not own:
        given = dict.fromkeys(pool, "train")
    source = _source(recorded if own else "", shares, options, drawn_only=not own)
    return SplitAssignment(splits=given, source=source, undecided=undecided)


def _source(
    recorded: str, shares: Mapping[str, float], options: SplitOptions, *, drawn_only: bool
) -> str:
    """Return how the splits came about, for records."""
    drawn = ", ".join(
        f"{split} {share}"
        for split, share in shares.items()
        if drawn_only or share or options.given(split) is not None
    )
    seeded = f"seeded ({options.split_seed}; {drawn})"
    if drawn_only:
        return seeded
    return f"{recorded or OFFICIAL}; from train {seeded}" if drawn else recorded or OFFICIAL


def _check_undecided(options: SplitOptions, undecided: frozenset[str], own: set[str]) -> None:
    for split in DRAWN:
        if options.given(split) is None or split in undecided:
            continue
        reason = f"its own {split} split" if split in own else "no train split to draw it from"
        raise UsageError(
            f"{flag_name(f'{split}_fraction')} cannot be used: the source has {reason}",
            hint="Leave it out.",
        )
