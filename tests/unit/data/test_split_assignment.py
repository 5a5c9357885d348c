"""A source with train only, and shares that are never ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.checks.fix import write_fixed
from capgen.data.dataset import Dataset, load_dataset
from capgen.data.events import Finished
from capgen.data.formats import manifest
from capgen.data.import_set import import_dataset
from capgen.data.splits import SplitOptions
from capgen.errors import DataError, UsageError
from tests.minis import draw

SEEDED = "seeded (0; val 0.1, test 0.1)"


def make(root: Path, **counts: int) -> Path:
    """Write a table for each split, or `captions.csv` for `captions`."""
    number = 0
    for split, count in counts.items():
        rows = ["image,caption"]
        for _ in range(count):
            number += 1
            (root / "images").mkdir(parents=True, exist_ok=True)
            draw(number).save(root / "images" / f"{number}.png")
            rows.append(f"images/{number}.png,caption {number}")
        (root / f"{split}.csv").write_text("\n".join(rows))
    return root


@pytest.mark.parametrize(
    ("there", "counts", "source"),
    [
        ({"train": 10}, {"train": 8, "val": 1, "test": 1}, f"official; from train {SEEDED}"),
        (
            {"train": 10, "test": 2},
            {"train": 9, "val": 1, "test": 2},
            "official; from train seeded (0; val 0.1)",
        ),
        ({"train": 10, "val": 2}, {"train": 10, "val": 2}, "official"),
        ({"val": 4}, {"val": 4}, "official"),
        ({"test": 4}, {"test": 4}, "official"),
        ({"captions": 10}, {"train": 8, "val": 1, "test": 1}, SEEDED),
        ({"captions": 2}, {"train": 2}, SEEDED),
    ],
)
def test_what_a_source_lacks_is_drawn_from_train(
    tmp_path: Path, there: dict[str, int], counts: dict[str, int], source: str
) -> None:
    dataset = load_dataset(make(tmp_path, **there))
    assert (dataset.counts, dataset.split_source) == (counts, source)


def test_the_draw_is_that_of_the_seed(tmp_path: Path) -> None:
    root = make(tmp_path, train=10)

    def val(seed: int) -> list[str]:
        options = SplitOptions(split_seed=seed, val_fraction=0.3)
        return [e.image_id for e in load_dataset(root, splits=options).split("val")]

    assert len(val(0)) == 3
    assert val(0) == val(0) != val(1)


@pytest.mark.parametrize(
    ("there", "options", "counts"),
    [
        ({"train": 10}, {"val_fraction": 0.3, "test_fraction": 0.0}, {"train": 7, "val": 3}),
        ({"train": 10}, {"val_fraction": 0.0, "test_fraction": 0.0}, {"train": 10}),
        ({"train": 8, "val": 2}, {"test_fraction": 0.25}, {"train": 6, "val": 2, "test": 2}),
        ({"captions": 2}, {"val_fraction": 0.5}, {"train": 1, "val": 1}),
        ({"captions": 3}, {"val_fraction": 0.0, "test_fraction": 0.0}, {"train": 3}),
    ],
)
def test_shares_that_were_given_are_taken(
    tmp_path: Path, there: dict[str, int], options: dict[str, float], counts: dict[str, int]
) -> None:
    assert load_dataset(make(tmp_path, **there), splits=SplitOptions(**options)).counts == counts


@pytest.mark.parametrize(
    ("there", "options", "message"),
    [
        ({"train": 4, "val": 2}, {"val_fraction": 0.2}, r"--val-fraction .* its own val split"),
        ({"train": 4, "val": 2}, {"val_fraction": 0.0}, r"--val-fraction .* its own val split"),
        ({"train": 4, "test": 2}, {"test_fraction": 0.2}, "--test-fraction .* its own test split"),
        ({"val": 4}, {"test_fraction": 0.2}, "--test-fraction .* no train split"),
        ({"captions": 1}, {"val_fraction": 0.5}, r"Too few training images \(1\)"),
        ({"train": 2}, {"val_fraction": 0.3, "test_fraction": 0.3}, r"training images \(2\)"),
    ],
)
def test_a_share_that_cannot_be_used_is_refused(
    tmp_path: Path, there: dict[str, int], options: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load_dataset(make(tmp_path, **there), splits=SplitOptions(**options))


def test_nothing_is_drawn_for_a_val_whose_images_are_missing(tmp_path: Path) -> None:
    root = make(tmp_path, train=4, val=1)
    (root / "images" / "5.png").unlink()
    dataset = load_dataset(root)
    assert dataset.counts == {"train": 4}
    assert "val" not in dataset.undecided
    with pytest.raises(DataError, match="no images in split val"):
        dataset.split("val")


def installed(root: Path, store: Path, **options: float) -> Dataset:
    *_, last = import_dataset(root, "mine", store=store, splits=SplitOptions(**options))
    assert isinstance(last, Finished)
    return load_dataset(last.folder)


def test_what_was_decided_on_import_stays(tmp_path: Path) -> None:
    root = make(tmp_path / "set", train=10)
    told = installed(root, tmp_path / "a", val_fraction=0.0, test_fraction=0.0)
    assert told.counts == {"train": 10}
    assert told.split_source == "official; from train seeded (0; val 0.0, test 0.0)"
    drawn = installed(root, tmp_path / "b")
    assert drawn.counts == {"train": 8, "val": 1, "test": 1}
    assert drawn.split_source == f"official; from train {SEEDED}"
    later = load_dataset(told.root, splits=SplitOptions(val_fraction=0.2))
    assert later.counts == {"train": 8, "val": 2}
    assert later.split_source == f"{told.split_source}; from train seeded (0; val 0.2)"


def test_a_set_that_an_earlier_version_installed_with_train_only_stays_as_it_is(
    tmp_path: Path,
) -> None:
    """Runs that used it beside others can only be resumed with the same digest."""
    dataset = load_dataset(make(tmp_path, train=10), splits=SplitOptions(val_fraction=0.0))
    examples = [example for example in dataset.examples if example.split == "train"]
    manifest.write(tmp_path / manifest.FILE_NAME, manifest.Header(name="old"), examples)
    assert load_dataset(tmp_path).counts == {"train": 9}
    asked = load_dataset(tmp_path, splits=SplitOptions(val_fraction=0.3))
    assert asked.counts == {"train": 6, "val": 3}


def test_the_doctor_draws_the_same_splits_and_records_how(tmp_path: Path) -> None:
    root = make(tmp_path, train=10)
    *_, diagnosis = diagnose(root)
    assert isinstance(diagnosis, Diagnosis)
    assert "split_empty" not in diagnosis.counts
    before = load_dataset(root)
    path = write_fixed(diagnosis, tmp_path / "clean.jsonl").path
    after = load_dataset(path)
    assert after.split_source == f"official; from train {SEEDED}"
    known = {example.image_id: example.split for example in before.examples}
    assert after.examples
    assert all(known[Path(e.image_id).name] == e.split for e in after.examples)
