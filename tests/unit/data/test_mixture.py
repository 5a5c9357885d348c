"""Several data sets at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from capgen.data.dataset import load_dataset
from capgen.data.import_set import import_dataset
from capgen.data.mixture import Mixture, open_mixture, split_weight
from capgen.errors import DataError, UsageError
from tests.minis import make_images, write_coco, write_flickr8k


@pytest.fixture
def flickr(tmp_path: Path) -> Path:
    return write_flickr8k(tmp_path / "mini8k", make_images())


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "coco", make_images(20, seed=1))


def weights(mixture: Mixture) -> dict[str, float]:
    return {member.name: member.weight for member in mixture.members}


def test_one_data_set_is_itself(flickr: Path):
    alone = load_dataset(flickr)
    mixture = open_mixture(None, flickr)
    assert (mixture.name, mixture.digest, mixture.counts) == ("mini8k", alone.digest, alone.counts)
    assert mixture.parts("train") == {"mini8k": alone.split("train")}
    assert not mixture.several


def test_several_have_ids_digest_and_counts_of_their_own(flickr: Path, coco: Path):
    mixture = open_mixture(None, [flickr, Path(f"{coco}=2.5")])
    assert mixture.several
    assert weights(mixture) == {"mini8k": 1.0, "coco": 2.5}
    assert mixture.name == "mini8k + coco"
    assert mixture.counts == {"train": 18, "val": 6, "test": 6}
    ids = [e.image_id for part in mixture.parts("train").values() for e in part]
    assert len(set(ids)) == 18
    assert ids[0].startswith("mini8k/")
    assert ids[-1].startswith("coco/")
    limited = mixture.parts("val", 1)
    assert {name: len(part) for name, part in limited.items()} == {"mini8k": 1, "coco": 1}
    digests = {mixture.digest, open_mixture(None, flickr).digest, open_mixture(None, coco).digest}
    assert len(digests) == 3
    assert open_mixture(None, [flickr, coco]).digest == mixture.digest  # weights are no data
    assert open_mixture(None, [coco, flickr]).digest != mixture.digest


def test_installed_sets_by_name(flickr: Path, coco: Path, tmp_path: Path):
    for name, source in (("one", flickr), ("two", coco)):
        for _ in import_dataset(source, name, store=tmp_path / "store"):
            pass
    store = tmp_path / "store"
    assert weights(open_mixture(["one", "two=0.5"], store)) == {"one": 1.0, "two": 0.5}
    assert weights(open_mixture("two=3", store)) == {"two": 3.0}
    with pytest.raises(UsageError, match="several --data-dir"):
        open_mixture(["one", "two"], [store, store])
    with pytest.raises(DataError, match="'two=much'"):
        open_mixture(["one", "two=much"], store)


@pytest.mark.parametrize(
    ("text", "place", "weight"),
    [
        ("photos", "photos", 1.0),
        ("photos=2", "photos", 2.0),
        ("a=b/c=d", "a=b/c=d", 1.0),
        ("a=b/c=d=.5", "a=b/c=d", 0.5),
        ("x=2=1e1", "x=2", 10.0),
        ("there=2", "there=2", 1.0),
        ("there=2=3", "there=2", 3.0),
        ("=2", "=2", 1.0),
        ("photos=", "photos=", 1.0),
        ("photos=nan", "photos=nan", 1.0),
    ],
)
def test_weights_and_paths_with_equals_signs(tmp_path, monkeypatch, text, place, weight):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there=2").mkdir()
    assert split_weight(text) == (place, weight)


@pytest.mark.parametrize("weight", ["0", "-1", "1001", "1e9"])
def test_weights_out_of_range_are_refused(flickr: Path, weight: str):
    with pytest.raises(UsageError, match=f"The weight of .* is {weight}"):
        open_mixture(None, [flickr, Path(f"{flickr}={weight}")])


def test_the_same_set_twice_is_refused_and_the_same_name_is_numbered(flickr: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="named twice"):
        open_mixture(None, [flickr, Path(f"{flickr}=2")])
    other = write_flickr8k(tmp_path / "other" / "mini8k", make_images(seed=2))
    assert list(weights(open_mixture(None, [flickr, other]))) == ["mini8k", "mini8k-2"]


def test_what_one_set_tests_another_does_not_train(flickr: Path, coco: Path):
    tested = load_dataset(flickr).split("test")[0]
    trained = load_dataset(coco).split("train")[0]
    shutil.copyfile(tested.image, trained.image)
    mixture = open_mixture(None, [flickr, coco])
    assert [len(member.held_out) for member in mixture.members] == [0, 1]
    kept = {example.image_id for example in mixture.parts("train")["coco"]}
    assert f"coco/{trained.image_id}" not in kept
    assert len(kept) == 11
    member = mixture.member("coco")
    assert member.key("train") != member.dataset.digest == member.key("val")


def test_a_set_without_val_is_trained_on_only(flickr: Path, tmp_path: Path):
    table = tmp_path / "more.jsonl"
    images = make_images(4, seed=5)
    write_flickr8k(tmp_path / "more", images)
    rows = [
        {"image": f"more/Flicker8k_Dataset/{p.name}", "caption": p.captions[0], "split": "train"}
        for p in images[:2]  # too few to draw a val from
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    mixture = open_mixture(None, [flickr, table])
    assert list(mixture.parts("val")) == ["mini8k"]
    with pytest.raises(DataError, match="no images in split val"):
        open_mixture(None, table).parts("val")
    assert open_mixture(None, table).lacks("val")
    assert not mixture.lacks("val")


def test_no_data_set_is_refused():
    with pytest.raises(UsageError, match="No data set was named"):
        open_mixture(None, None)
