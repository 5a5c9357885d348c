"""A share on workers: what is written, passed over and refused; and what a worker does."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from capgen import Captioner
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun
from capgen.captioning.batch.sources import FailedSource, FileSource
from capgen.captioning.runtimes.select import may_use_gpus
from capgen.config import BatchOptions, EngineOptions, ModelOptions
from capgen.distributed.caption_on_workers import caption_on_workers
from capgen.distributed.caption_parts import PartsRun
from capgen.distributed.caption_share import PartReused, ShareFinished, ShareJob, caption_share
from capgen.distributed.jobs import Policy
from capgen.distributed.part_worker import PartWorker, WorkerJob, portable
from capgen.distributed.plan import ImageUnit, Plan, Unit
from capgen.distributed.schedule_events import PartFailures
from capgen.distributed.share import Share
from capgen.distributed.tasks import PartMade, Piece, PieceMade, Report, Task, TaskDone
from capgen.distributed.vouchers import PartDone
from capgen.errors import (
    DiskFullError,
    ImageError,
    MissingDependencyError,
    StorageError,
    UsageError,
)
from capgen.locks import Lock
from capgen.records import CaptionFailure
from tests.fakes import draw_image
from tests.scripted_workers import Outcome, ScriptedPool


def load(threads: int) -> Captioner:
    return Captioner.from_pretrained("mini:int8", threads=threads)


@dataclass
class WorkingPool(ScriptedPool):
    """Scripted workers that caption, in this process."""

    worker: PartWorker | None = None

    def wait(self, seconds: float | None) -> Sequence[Report]:
        return [self._captioned(report) for report in super().wait(seconds)]

    def _captioned(self, report: Report) -> Report:
        if not isinstance(report, TaskDone):
            return report
        assert self.worker is not None
        return replace(report, made=self.worker.do(self._tasks.pop(report.worker)))

    def start(self, worker: str, task: Task) -> None:
        self._tasks[worker] = pickle.loads(pickle.dumps(task))
        super().start(worker, task)

    def __post_init__(self) -> None:
        self._tasks: dict[str, Task] = {}


@pytest.fixture(scope="module")
def worker() -> PartWorker:
    return PartWorker(WorkerJob(load=load, format="jsonl", run=PartsRun(), cores=1))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Unit]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        draw_image(number, (64, 48)).save(folder / f"{number}.jpg")
    (folder / "5.jpg").write_bytes(b"no image")
    units: list[Unit] = [
        ImageUnit(FileSource(str(folder / f"{number}.jpg"))) for number in range(12)
    ]
    return [*units, ImageUnit(FailedSource("empty/", ImageError("nothing in it", code="missing")))]


def files(place: Path) -> dict[str, bytes]:
    found = {f.relative_to(place).as_posix(): f for f in place.rglob("*") if f.is_file()}
    return {name: f.read_bytes() for name, f in found.items()}


def test_workers_write_what_one_process_writes(
    worker: PartWorker, pictures: list[Unit], tmp_path: Path
) -> None:
    lost = iter([True, False, False, True])

    def script(name: str, task: Task) -> Outcome:
        return Outcome(1, lost="its process died" if next(lost, False) else "")

    pool = WorkingPool(script, worker=worker, work=lambda name: worker.work)
    job = ShareJob(place=str(tmp_path / "workers"), part_size=5)
    events = list(caption_on_workers(pictures, job, pool))
    assert isinstance(events[-1], ShareFinished) and events[-1].complete
    [finished] = [event for event in events if isinstance(event, BatchFinished)]
    assert finished.failures == {"not_an_image": 1, "missing": 1} and finished.captions == 11
    assert [e.failures[0].code for e in events if isinstance(e, PartFailures)] == [
        *("not_an_image", "missing")
    ]
    one = replace(job, place=str(tmp_path / "one"))
    list(caption_share(load(1), pictures, one))
    assert files(tmp_path / "workers") == files(tmp_path / "one")


def test_a_part_captioned_in_pieces_is_the_same_file(
    worker: PartWorker, pictures: list[Unit], tmp_path: Path
) -> None:
    def script(name: str, task: Task) -> Outcome:
        return Outcome(1, lost="its process died" if task.piece is None else "")

    pool = WorkingPool(script, worker=worker, work=lambda name: worker.work)
    job = ShareJob(place=str(tmp_path / "workers"), part_size=20)
    list(caption_on_workers(pictures, job, pool, Policy(crashes=2)))
    one = replace(job, place=str(tmp_path / "one"))
    list(caption_share(load(1), pictures, one))
    assert files(tmp_path / "workers") == files(tmp_path / "one")


def test_what_is_there_is_passed_over_and_what_may_pass_is_made_again(
    worker: PartWorker, pictures: list[Unit], tmp_path: Path
) -> None:
    job = ShareJob(place=str(tmp_path), part_size=5)
    list(caption_share(load(1), pictures[:10], job))
    pool = WorkingPool(lambda name, task: Outcome(1), worker=worker, work=lambda name: worker.work)
    events = list(caption_on_workers(pictures, job, pool))
    assert sum(isinstance(event, PartReused) for event in events) == 2
    assert sum(isinstance(event, PartDone) for event in events) == 1
    again = list(caption_on_workers(pictures, replace(job, resume=False), pool))
    assert sum(isinstance(event, PartDone) for event in again) == 3


def test_one_run_at_a_time_writes_a_folder(
    worker: PartWorker, pictures: list[Unit], tmp_path: Path
) -> None:
    lock = Lock(tmp_path / "_journals" / "all.journal")
    assert lock.take()
    pool = WorkingPool(lambda name, task: Outcome(1), worker=worker)
    with lock.held(), pytest.raises(StorageError, match="Another run"):
        list(caption_on_workers(pictures, ShareJob(place=str(tmp_path)), pool))


def test_a_file_that_only_the_workers_miss_ends_the_run(tmp_path: Path) -> None:
    here = tmp_path / "here.jpg"
    draw_image(1, (64, 48)).save(here)
    failure = CaptionFailure(path=str(here), code="missing", message="no such file")
    pool = ScriptedPool(lambda name, task: Outcome(1, failures=(failure,)))
    job = ShareJob(place=str(tmp_path / "out"))
    with pytest.raises(UsageError, match="not where a worker runs"):
        list(caption_on_workers([ImageUnit(FileSource(str(here)))], job, pool))


def part(units: list[Unit]) -> Task:
    [cut] = Plan(units, Share(), len(units))
    return Task(part=cut)


def test_a_worker_returns_the_part_and_its_first_failures(
    worker: PartWorker, pictures: list[Unit]
) -> None:
    made = worker.do(part(pictures))
    assert isinstance(made, PartMade) and made.done is not None
    assert len(made.data.splitlines()) == made.done.records == 13
    assert [failure.code for failure in made.failures] == ["not_an_image", "missing"]


def test_a_worker_takes_over_earlier_records(worker: PartWorker, pictures: list[Unit]) -> None:
    made = worker.do(part(pictures))
    assert isinstance(made, PartMade)
    again = worker.do(replace(part(pictures), earlier=made.data))
    assert isinstance(again, PartMade)
    assert again.finished.reused == 12 and again.data == made.data


def test_a_piece_is_some_images_of_the_part(worker: PartWorker, pictures: list[Unit]) -> None:
    made = worker.do(part(pictures).cut(Piece(start=4, stop=7)))
    assert isinstance(made, PieceMade)
    assert [position for position, _ in made.records] == [4, 5, 6]
    assert [failure.code for failure in made.failures] == ["not_an_image"]


def test_an_image_that_is_given_up_is_not_read(worker: PartWorker) -> None:
    made = worker.do(
        part([ImageUnit(FileSource("/not/there.jpg"))]).cut(
            Piece(start=0, stop=1, images=1, given_up=True)
        )
    )
    assert isinstance(made, PieceMade)
    [(_, record)] = made.records
    assert isinstance(record, CaptionFailure)
    assert record.code == "crashed" and record.path == "/not/there.jpg" and record.model


def test_fail_fast_stops_at_a_failure(pictures: list[Unit]) -> None:
    run = PartsRun(batch=BatchRun(options=BatchOptions(fail_fast=True)))
    made = PartWorker(WorkerJob(load=load, format="jsonl", run=run, cores=1)).do(part(pictures))
    assert isinstance(made, PartMade) and made.done is None and made.finished.stopped


def test_another_version_is_refused() -> None:
    job = WorkerJob(load=load, format="jsonl", run=PartsRun(), cores=1, version="0.0.1")
    with pytest.raises(UsageError, match=r"this is 0\.0\.1"):
        PartWorker(job)


@pytest.mark.parametrize(
    "error",
    [
        ImageError("x", code="empty", hint="h"),
        MissingDependencyError("ray", extra="ray", purpose="that"),
        DiskFullError("full"),
    ],
)
def test_errors_travel_between_processes(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(portable(error)))
    assert type(copy) is type(error) and str(copy) == str(error)
    assert {**vars(copy), "__notes__": 0} == {**vars(error), "__notes__": 0}


def test_an_error_that_cannot_travel_is_told() -> None:
    class OwnError(Exception):
        """Unknown elsewhere."""

    copy = portable(OwnError("what happened"))
    assert isinstance(copy, RuntimeError) and "OwnError: what happened" in str(copy)


@pytest.mark.parametrize(
    ("text", "meant"), [(None, (1, None)), ("4", (4, 4)), ("2:16", (2, 16)), (" 1:1 ", (1, 1))]
)
def test_actors_are_a_number_or_a_range(text: str | None, meant: tuple[int, int | None]) -> None:
    assert EngineOptions(actors=text).actor_range == meant


@pytest.mark.parametrize("text", ["", "0", "5:2", "two", "1:2:3", "-1"])
def test_other_actors_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--actors"):
        EngineOptions(actors=text)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="local, ray"):
        EngineOptions(engine="spark")


@pytest.mark.parametrize(
    ("options", "may"),
    [
        (ModelOptions(), False),
        (ModelOptions(model="mini:int8"), False),
        (ModelOptions(device="cuda"), True),
        (ModelOptions(model="folder"), True),
        (ModelOptions(model="folder", device="cpu"), False),
        (ModelOptions(model="folder", runtime="onnx"), False),
        (ModelOptions(endpoint="http://127.0.0.1:1/v1"), False),
    ],
)
def test_which_models_may_use_gpus(options: ModelOptions, may: bool) -> None:
    assert may_use_gpus(options) is may
