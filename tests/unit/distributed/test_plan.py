"""Shares and parts of a list."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest

from capgen.captioning.batch.sources import FileSource
from capgen.distributed.caption_parts import add_to_runs
from capgen.distributed.plan import ImageUnit, Plan, sum_of_names
from capgen.distributed.share import Share
from capgen.distributed.vouchers import PartDone, iterate_runs
from capgen.errors import UsageError

NAMES = [f"photos/{number}.jpg" for number in range(1000)]


def units(names: Iterable[str]) -> list[ImageUnit]:
    return [ImageUnit(FileSource(name)) for name in names]


def taken(names: Iterable[str], share: Share) -> list[str]:
    return [unit.name for part in Plan(units(names), share, 10) for unit in part.units]


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "-1/4", "1/0", "1/2/3", "a/b", "3/100001"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UsageError):
        Share.parse(text)


def test_shares_cover_the_list_once() -> None:
    shares = [taken(NAMES, Share(number, 7)) for number in range(1, 8)]
    assert sorted(name for share in shares for name in share) == sorted(NAMES)
    assert all(len(share) > 90 for share in shares)  # about 143


def test_names_that_are_no_text() -> None:
    """A file's bytes, and half a character, as JSON can have it."""
    odd = ["photos/\udcff.jpg", "photos/\ud83d.jpg", "photos/\udfff.jpg"]
    assert sorted(taken(odd, Share(1, 2)) + taken(odd, Share(2, 2))) == sorted(odd)


def test_a_share_depends_neither_on_the_order_nor_on_other_names() -> None:
    share = Share(3, 16)
    shuffled = random.Random(0).sample([*NAMES, "another.jpg"], len(NAMES) + 1)
    assert set(taken(NAMES, share)) == set(taken(shuffled, share)) - {"another.jpg"}


def test_parts_know_where_their_units_are_in_the_whole_list() -> None:
    for part in Plan(units(NAMES), Share(2, 3), 50):
        assert [NAMES[position] for position in part.positions] == [u.name for u in part.units]
        assert len(part.units) <= 50


def test_the_list_is_read_as_parts_are_wanted() -> None:
    read = []

    def listing() -> Iterator[ImageUnit]:
        for unit in units(NAMES):
            read.append(unit)
            yield unit

    parts = iter(Plan(listing(), Share(), 10))
    next(parts)
    assert len(read) == 10


def test_hashes_of_lists() -> None:
    def read(names: list[str], share: Share) -> Plan:
        plan = Plan(units(names), share)
        list(plan)
        return plan

    whole, backwards = read(NAMES, Share()), read(NAMES[::-1], Share())
    assert whole.names == backwards.names != read(NAMES[1:], Share()).names
    assert whole.order != backwards.order
    # An image named twice is not the same list, nor is one instead of another.
    assert read([*NAMES, NAMES[0]], Share()).names != whole.names
    shares = [read(NAMES, Share(number, 5)) for number in range(1, 6)]
    assert sum_of_names(share.taken_names for share in shares) == whole.names
    assert {share.names for share in shares} == {whole.names}
    assert sum_of_names(share.taken_names for share in shares[1:]) != whole.names


def test_a_part_of_other_images_is_another_part() -> None:
    first = next(iter(Plan(units(NAMES), Share(), 10)))
    other = next(iter(Plan(units(["x", *NAMES]), Share(), 10)))
    assert first.number == other.number
    assert first.digest != other.digest


def test_runs_say_where_records_are() -> None:
    chance = random.Random(1)
    for _ in range(300):
        expected = []
        position = 0
        for _ in range(chance.randrange(8)):
            position += chance.choice((1, 1, 1, 2, 5))
            expected.append((position, chance.choice((1, 1, 1, 2, 3))))
        runs: list[list[int]] = []
        for place, records in expected:
            for _ in range(records):
                add_to_runs(runs, place)
        done = PartDone(file="", digest="", sha256="", size=0, records=0, runs=runs)
        assert list(iterate_runs(done)) == expected
