"""Images that kill who captions them are found, in lists and in archives."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from capgen.captioning.batch.pipeline import BatchFinished
from capgen.captioning.batch.sources import FileSource, Source
from capgen.config import ImageLimits
from capgen.distributed.isolation import Isolation
from capgen.distributed.plan import Part, Unit
from capgen.distributed.tasks import PieceMade, Task
from capgen.records import CaptionFailure
from tests.scripted_workers import images_of, parts_of, record_of


@dataclass(frozen=True)
class Archive:
    """A unit with many images; `bad` archives kill whoever opens them."""

    name: str
    images: int

    def sources(self, limits: ImageLimits) -> Iterable[Source]:
        return [FileSource(f"{self.name}/{number}") for number in range(self.images)]


def part_with(*units: Unit) -> Part:
    return Part(number=0, units=units, positions=tuple(range(len(units))), digest=b"")


def walk(part: Part, killing: Collection[str]) -> tuple[list[tuple[int, str, str]], int]:
    """Return (position, path, code) of all records, and how many workers died."""
    isolation = Isolation(Task(part=part))
    deaths = 0
    for _ in range(10_000):
        task = isolation.task
        if task is None:
            break
        named = images_of(task)
        assert task.piece is not None
        reads = {name for _, name in named} | {unit.name for unit in task.part.units}
        if task.piece.given_up:
            reads = {unit.name for unit in task.part.units if task.piece.images is not None}
        if reads & set(killing):
            deaths += 1
            isolation.crashed()
            continue
        code = "crashed" if task.piece.given_up else "scripted"
        isolation.passed(
            PieceMade(
                finished=BatchFinished(captions=len(named)),
                records=tuple((position, record_of(name, code)) for position, name in named),
            )
        )
    assert isolation.task is None, "it comes to an end"
    found = [
        (position, record.path or "", record.code)
        for position, record in isolation.records
        if isinstance(record, CaptionFailure)
    ]
    return found, deaths


def crashed(records: Iterable[tuple[int, str, str]]) -> list[str]:
    return [path for _, path, code in records if code == "crashed"]


def test_without_a_killer_every_image_has_its_record_in_order() -> None:
    [part] = parts_of(100, 100)
    records, deaths = walk(part, ())
    assert [position for position, _, _ in records] == list(range(100))
    assert not crashed(records) and not deaths


def test_a_killer_is_found_with_few_deaths() -> None:
    [part] = parts_of(100, 100)
    records, deaths = walk(part, {"00000041.jpg", "00000099.jpg"})
    assert [position for position, _, _ in records] == list(range(100))
    assert crashed(records) == ["00000041.jpg", "00000099.jpg"]
    assert deaths <= 2 * 7


def test_every_image_may_be_a_killer() -> None:
    [part] = parts_of(5, 5)
    records, _ = walk(part, {f"{number:08}.jpg" for number in range(5)})
    assert len(crashed(records)) == len(records) == 5


def test_a_killer_in_an_archive_is_found() -> None:
    part = part_with(Archive("a", 70), Archive("b", 100), Archive("c", 3))
    records, _ = walk(part, {"b/40", "b/41"})
    assert [position for position, _, _ in records] == [0] * 70 + [1] * 100 + [2] * 3
    assert crashed(records) == ["b/40", "b/41"]
    assert [path for p, path, _ in records if p == 1] == [f"b/{number}" for number in range(100)]


def test_the_last_image_of_an_archive_may_be_the_killer() -> None:
    records, _ = walk(part_with(Archive("a", 64)), {"a/63"})
    assert len(records) == 64 and crashed(records) == ["a/63"]


def test_an_archive_that_cannot_be_opened_has_one_record() -> None:
    records, _ = walk(part_with(Archive("a", 2), Archive("b", 2), Archive("c", 2)), {"b"})
    assert [path for _, path, _ in records] == ["a/0", "a/1", "b", "c/0", "c/1"]
    assert crashed(records) == ["b"]
