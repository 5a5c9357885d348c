"""How often images come whose folders say it."""

from __future__ import annotations

from pathlib import Path

from capgen.data.mixture import open_mixture
from capgen.training.run.checkpoints import mixture_record
from tests.minis import draw


def test_the_record_of_a_run_counts_the_repeats_of_folders(tmp_path: Path) -> None:
    for folder, first in (("train/10_dog", 0), ("train/2_cat", 10), ("val/1_dog", 20)):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(3):
            image = tmp_path / folder / f"{first + number}.jpg"
            draw(first + number).save(image)
            image.with_suffix(".txt").write_text("a dog")
    record = mixture_record(open_mixture(None, [tmp_path]))
    assert record["counts"] == {"train": 6, "val": 3}
    assert (record["weight"], record["drawn"]) == (1.0, 36)
    twice = open_mixture(None, [Path(f"{tmp_path}=0.5")])
    assert mixture_record(twice)["drawn"] == 18
