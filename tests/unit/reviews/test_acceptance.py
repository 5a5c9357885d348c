"""From records and reviews to what is accepted, and why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capgen.config import AcceptConfig
from capgen.errors import DataError, UsageError
from capgen.records import CaptionFailure, Record
from capgen.reviews.acceptance import accept
from capgen.reviews.journal import Decision, ImageKey, Reviews
from capgen.reviews.judgement import Judgement, judgements
from capgen.reviews.sampling import sample_order
from tests.unit.reviews.made import caption, review

COUNT = 400


def records(count: int = COUNT) -> list[Record]:
    """Captions whose confidence rises with their number."""
    return [caption(number, (number + 0.5) / count) for number in range(count)]


def judged(made: list[Record], reviewed: list[int], wrong_below: float = 0.4) -> list[Judgement]:
    """Records of which these were reviewed: right from a confidence on."""
    decisions = []
    for place in reviewed:
        record = made[place]
        good = (record.confidence or 0) >= wrong_below
        verdict = review() if good else review("edited", "a cat sits")
        decisions.append(Decision(ImageKey.of(record), verdict))
    return judgements(made, Reviews(decisions))


def first(made: list[Record], count: int) -> list[int]:
    return sample_order(made)[:count]


def test_what_is_accepted() -> None:
    made = records()
    sample = first(made, 150)
    found = accept(judged(made, sample), AcceptConfig())
    assert found.sampled == 150 == found.reviewed
    assert found.right == sum((made[place].confidence or 0) >= 0.4 for place in sample)
    threshold = found.level.threshold
    assert 0.3 < threshold <= 0.5
    expected = [
        one
        for place, one in enumerate(made)
        if place not in sample and (one.confidence or 0) >= threshold
    ]
    assert list(found.accepted) == expected
    assert found.level.unreviewed == len(expected)
    assert found.left == COUNT - 150 - len(expected)
    assert 0 < found.bound <= 0.1
    assert [reviews for reviews, _ in found.more] == [75, 150]  # 450 would be more than there are
    record = found.to_dict()
    assert record["accepted"] == len(expected) and record["left"] == found.left
    assert record["sample"]["reviews"] == 150
    assert record["agreement"]["edited"] + record["agreement"]["accepted"] == 150


def test_the_sample_is_the_longest_reviewed_beginning_of_the_random_order() -> None:
    made = records()
    order = sample_order(made)
    # The 171st is not reviewed, and some after it are.
    reviewed = order[:170] + order[171:200]
    found = accept(judged(made, reviewed, 0.2), AcceptConfig())
    assert (found.sampled, found.reviewed) == (170, 199)
    assert not {made[place].path for place in reviewed} & {one.path for one in found.accepted}
    everything = accept(judged(made, reviewed, 0.2), AcceptConfig(sample="all"))
    assert everything.sampled == 199
    with pytest.raises(DataError, match="No random sample of the captions is reviewed") as caught:
        accept(judged(made, order[1:100]), AcceptConfig())
    assert "(99 are reviewed in another order)" in caught.value.message


def test_a_review_of_another_caption_ends_the_sample() -> None:
    made = records()
    order = sample_order(made)
    found = judged(made, order[:150])
    old = replace(review("edited", "a cat", "a wolf"))
    found[order[130]] = judgements(
        [made[order[130]]], Reviews([Decision(ImageKey.of(made[order[130]]), old)])
    )[0]
    result = accept(found, AcceptConfig())
    assert (result.sampled, result.reviewed) == (130, 150)


def test_images_without_caption_or_confidence_are_passed_over() -> None:
    made = records()
    failed = CaptionFailure(path="x.jpg", code="truncated", message="x.jpg is truncated")
    unsure = CaptionFailure(path="y.jpg", code="low_confidence", message="y", confidence=0.99)
    without = replace(caption(9999), confidence=None)
    more: list[Record] = [*made, failed, unsure, without]
    reviewed = [place for place in sample_order(more) if place < COUNT][:150]
    found = accept(judged(more, reviewed), AcceptConfig())
    plain = accept(judged(made, first(made, 150)), AcceptConfig())
    assert found.level == plain.level and found.accepted == plain.accepted
    assert found.left == plain.left + 1  # the one without confidence


def test_reviews_that_the_confidence_was_fitted_on_are_left_out() -> None:
    made = records()
    found = accept(judged(made, first(made, 250)), AcceptConfig(skip=100))
    assert (found.sampled, found.reviewed) == (150, 250)
    assert found.level.captions <= COUNT - 100
    with pytest.raises(UsageError, match="--skip"):
        AcceptConfig(skip=5, sample="all")


def test_refused_without_confidence() -> None:
    plain: list[Record] = [replace(caption(n), confidence=None) for n in range(50)]
    with pytest.raises(DataError, match="No caption has a confidence") as caught:
        accept(judged(plain, first(plain, 40)), AcceptConfig())
    assert "--scores" in caught.value.hint


def test_refused_with_too_few_reviews() -> None:
    made = records()
    with pytest.raises(
        DataError, match=r"10 reviews cannot show that a share of at most 0\.1"
    ) as caught:
        accept(judged(made, first(made, 10), wrong_below=0), AcceptConfig())
    assert caught.value.hint.startswith("At least ")
    assert "if none of them finds a wrong caption" in caught.value.hint
    assert "About " in caught.value.hint
    with pytest.raises(DataError, match=r"No random sample of the captions is reviewed$"):
        accept(judged(made, []), AcceptConfig())
    few = records(12)
    with pytest.raises(DataError, match="12 captions are too few"):
        accept(judged(few, first(few, 5)), AcceptConfig())


def test_the_number_of_reviews_that_is_named_is_enough() -> None:
    made = records()
    with pytest.raises(DataError) as caught:
        accept(judged(made, []), AcceptConfig())
    fewest = int(caught.value.hint.split("At least ")[1].split()[0])
    assert accept(judged(made, first(made, fewest), wrong_below=0), AcceptConfig()).accepted
    with pytest.raises(DataError):
        accept(judged(made, first(made, fewest - 1), wrong_below=0), AcceptConfig())


def test_refused_where_too_much_is_wrong() -> None:
    made = records()
    with pytest.raises(DataError, match="200 reviews cannot show") as caught:
        accept(judged(made, first(made, 200), wrong_below=2), AcceptConfig())
    assert caught.value.hint.startswith("More reviews will not do if these are typical: of the ")
    assert "were reviewed, and" in caught.value.hint
