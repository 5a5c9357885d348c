"""Accept captions without review, on the strength of a random sample that was reviewed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from capgen.config import AcceptConfig
from capgen.errors import DataError
from capgen.records import SCHEMA_VERSION, Record
from capgen.reviews.confidence_agreement import Agreement, agreement
from capgen.reviews.guarantee import Promise, choose, fewest_reviews, first_tested, upper_bound
from capgen.reviews.journal import proposed
from capgen.reviews.judgement import Judgement
from capgen.reviews.levels import Candidate, Level, levels_of, with_reviews
from capgen.reviews.sampling import sample_order

# Further reviews whose gain is estimated, as multiples of those there are.
_MORE = (0.5, 1.0, 3.0)
_STEP = 1.25


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """Captions that are accepted without review, and why.

    Attributes:
        config: What was asked for.
        level: The captions at or above the threshold.
        accepted: Those of them that nobody reviewed, in the order of the records.
        bound: Upper bound on the share of wrong ones among them, at this threshold alone.
        sampled: Size of the random sample.
        right: How many captions of it were right.
        reviewed: Captions that somebody reviewed, in the sample or not.
        captions: Captions in all.
        more: Further reviews, and how many captions would then probably be accepted.
        agreement: How far confidence and reviews agree.
    """

    config: AcceptConfig
    level: Level
    accepted: tuple[Record, ...]
    bound: float
    sampled: int
    right: int
    reviewed: int
    captions: int
    more: tuple[tuple[int, int], ...]
    agreement: Agreement

    @property
    def left(self) -> int:
        """Captions that remain to be reviewed."""
        return self.captions - self.reviewed - len(self.accepted)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "acceptance",
            "at_most_wrong": self.config.at_most_wrong,
            "sure": self.config.sure,
            "threshold": self.level.threshold,
            "accepted": len(self.accepted),
            "bound": self.bound,
            "captions": self.captions,
            "reviewed": self.reviewed,
            "left": self.left,
            "sample": {
                "drawn": self.config.sample,
                "skipped": self.config.skip,
                "reviews": self.sampled,
                "right": self.right,
                "from_threshold": self.level.sampled,
                "wrong_from_threshold": self.level.wrong,
            },
            "more": [{"reviews": reviews, "accepted": count} for reviews, count in self.more],
            "agreement": self.agreement.to_dict(),
        }


def accept(judged: Sequence[Judgement], config: AcceptConfig) -> Acceptance:
    """Choose a confidence from which captions are accepted without review.

    Args:
        judged: All records with what reviews say about them.
        config: What is to hold, and which reviews are a random sample.

    Raises:
        DataError: No caption has a confidence, or the sample cannot support the promise.
    """
    places = _population(judged)[config.skip :]
    if not places:
        raise DataError(
            "No caption has a confidence",
            hint="Caption with --scores, by a model that is calibrated for its settings.",
        )
    sample = set(_sample(judged, places, config))
    candidates = [_candidate(judged[place], place in sample) for place in places]
    levels = levels_of(candidates)
    promise = Promise(at_most_wrong=config.at_most_wrong, sure=config.sure)
    level = choose(levels, promise) if sample else None
    if level is None:
        raise _refusal(levels, promise, sum(judged[place].right is not None for place in places))
    accepted = tuple(
        judged[place].record
        for place in sorted(places)
        if judged[place].review is None and _confidence(judged[place]) >= level.threshold
    )
    captions = [one for one in judged if _has_caption(one)]
    return Acceptance(
        config=config,
        level=level,
        accepted=accepted,
        bound=upper_bound(level, levels[-1], promise),
        sampled=levels[-1].sampled,
        right=levels[-1].sampled - levels[-1].wrong,
        reviewed=sum(one.review is not None for one in captions),
        captions=len(captions),
        more=tuple(_more(levels, promise)),
        agreement=agreement(judged),
    )


def _population(judged: Sequence[Judgement]) -> list[int]:
    """Return the places of the captions that may be accepted, in random order."""
    order = sample_order([one.record for one in judged])
    return [
        place
        for place in order
        if judged[place].record.confidence is not None and _has_caption(judged[place])
    ]


def _sample(judged: Sequence[Judgement], places: Sequence[int], config: AcceptConfig) -> list[int]:
    """Return the places of the random sample, all of them reviewed."""
    if config.sample == "all":
        return [place for place in places if judged[place].right is not None]
    return list(itertools.takewhile(lambda place: judged[place].right is not None, places))


def _candidate(one: Judgement, sampled: bool) -> Candidate:
    return Candidate(
        confidence=_confidence(one),
        reviewed=one.review is not None,
        right=one.right if sampled else None,
    )


def _more(levels: Sequence[Level], promise: Promise) -> Iterator[tuple[int, int]]:
    """Yield numbers of further reviews, and how many captions would then be accepted."""
    there, every = levels[-1].sampled, levels[-1].captions
    for part in _MORE:
        reviews = math.ceil(there * part)
        if there + reviews < every:
            found = choose(with_reviews(levels, there + reviews), promise)
            yield reviews, 0 if found is None else found.unreviewed


def _refusal(levels: Sequence[Level], promise: Promise, reviewed: int) -> DataError:
    """Return the error of a sample that cannot support a promise.

    Args:
        levels: The levels.
        promise: The promise.
        reviewed: Reviews of these captions, in the sample or not.
    """
    fewest, there = fewest_reviews(levels, promise), levels[-1].sampled
    share = f"{promise.at_most_wrong:.3g}"
    if fewest is None:
        return DataError(
            f"{levels[-1].captions} captions are too few to accept any without review",
            hint="Review all of them, or allow a larger --at-most-wrong.",
        )
    least = f"At least {fewest} reviews are needed, if none of them finds a wrong caption"
    if not there:
        outside = f" ({reviewed} are reviewed in another order)" if reviewed else ""
        return DataError(
            f"No random sample of the captions is reviewed{outside}",
            hint=f"Review in the random order of `capgen review`. {least}.",
        )
    message = f"{there} reviews cannot show that a share of at most {share} is wrong"
    enough = _enough_reviews(levels, promise)
    tested = first_tested(levels, promise)
    found = (
        f"of the {tested.captions} most confident captions {tested.sampled} were reviewed, "
        f"and {tested.wrong} of those were wrong"
    )
    if enough is None:
        advice = f"More reviews will not do if these are typical: {found}."
    else:
        advice = f"About {enough} reviews may do: {found}."
    return DataError(message, hint=f"{least}. {advice}" if there < fewest else advice)


def _enough_reviews(levels: Sequence[Level], promise: Promise) -> int | None:
    """Return a size of the sample that would accept some captions, at the shares found so far."""
    reviews = levels[-1].sampled
    while (reviews := math.ceil(reviews * _STEP)) < levels[-1].captions:
        if choose(with_reviews(levels, reviews), promise) is not None:
            return reviews
    return None


def _has_caption(one: Judgement) -> bool:
    return proposed(one.record) is not None


def _confidence(one: Judgement) -> float:
    return -math.inf if one.record.confidence is None else one.record.confidence
