from __future__ import annotations

import io
import json
import os
import shutil
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from capgen.cache_folders import clear as clear_caches
from capgen.cli.main import main
from capgen.data.dataset import load_dataset, locate, open_dataset
from capgen.data.events import Finished, Notice, Progress
from capgen.data.formats.reading import ReadOptions
from capgen.data.import_set import import_dataset, name_of_source
from capgen.data.installed import installed, remove
from capgen.data.splits import SplitOptions
from capgen.errors import DataError, UsageError
from tests import minis
from tests.minis import draw, make_images, save_images, write_flickr8k


@pytest.mark.parametrize("link", [False, True])
def test_import_keeps_everything(link: bool, tmp_path: Path, home: Path):
    source = write_flickr8k(tmp_path / "mine", make_images())
    finished = list(import_dataset(source, "mine", link=link))[-1]
    assert isinstance(finished, Finished)
    assert (finished.images, finished.captions) == (10, 50)
    dataset = open_dataset("mine", None)
    assert dataset.digest == load_dataset(source).digest
    inside = [e.image.resolve().is_relative_to(home.resolve()) for e in dataset.examples]
    assert inside == [not link] * 10
    assert installed() == ["mine"]
    assert locate("mine") == home / "datasets" / "mine"
    remove("mine")
    assert installed() == []
    assert len(load_dataset(source).examples) == 10  # the source stays


def test_store_elsewhere(tmp_path: Path):
    source = write_flickr8k(tmp_path / "set", make_images())
    list(import_dataset(source, "mine", store=tmp_path / "store"))
    assert open_dataset("mine", tmp_path / "store").counts["train"] == 6
    assert open_dataset(None, tmp_path / "store" / "mine").name == "mine"
    with pytest.raises(DataError, match="Unknown data set 'mine'"):
        open_dataset("mine", None)


def test_drawn_splits_are_recorded(tmp_path: Path):
    source = minis.write_karpathy(tmp_path / "set", make_images(20))
    file = source / "dataset_mini.json"
    content = json.loads(file.read_text())
    for item in content["images"]:
        item["split"] = ""
    file.write_text(json.dumps(content))
    splits = SplitOptions(split_seed=3, val_fraction=0.2)
    finished = list(import_dataset(source, "mine", splits=splits))[-1]
    assert isinstance(finished, Finished)
    assert finished.splits == {"train": 14, "val": 4, "test": 2}
    dataset = open_dataset("mine", None)
    assert dataset.counts == finished.splits
    assert dataset.split_source == "seeded (3; val 0.2, test 0.1)"
    # Later options do not split it anew.
    assert load_dataset("mine", splits=SplitOptions(split_seed=9)).digest == dataset.digest


def test_what_was_left_out_is_told(tmp_path: Path):
    source = write_flickr8k(tmp_path / "set", make_images())
    for image in sorted((source / "Flicker8k_Dataset").iterdir())[:5]:
        image.unlink()
    events = list(import_dataset(source, "mine"))
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert len(notices) == 1
    assert notices[0].startswith("missing image, with its captions (5): ")
    assert notices[0].endswith("and 2 more")


def test_names(tmp_path: Path, home: Path):
    source = write_flickr8k(tmp_path / "set", make_images())
    list(import_dataset(source, "mine"))
    with pytest.raises(DataError, match="A data set 'mine' already exists"):
        list(import_dataset(source, "mine"))
    for name in ("", "../evil", ".hidden", "a/b", "a b", "x" * 90, "end."):
        with pytest.raises(UsageError, match="cannot be a data set's name"):
            list(import_dataset(source, name))
    with pytest.raises(DataError, match="Unknown data set"):
        remove("../set")
    assert sorted(p.name for p in (home / "datasets").iterdir() if not p.is_file()) == ["mine"]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("my-photos", "my-photos"),
        ("My photos (2026)", "My-photos-2026"),
        ("set/captions.csv", "captions"),
        ("été", "t"),
    ],
)
def test_a_data_set_without_a_name_has_that_of_its_folder_or_file(
    source: str, name: str, tmp_path: Path
):
    place = tmp_path / source
    if place.suffix:
        place.parent.mkdir()
        place.touch()
    else:
        place.mkdir()
    assert name_of_source(place) == name


def test_the_folder_of_the_command_has_a_name_too(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
):
    write_flickr8k(tmp_path / "mine", make_images())
    monkeypatch.chdir(tmp_path / "mine")
    assert main(["data", "import", "."]) == 0
    assert installed() == ["mine"]


@pytest.mark.parametrize("source", ["写真", "nul"])
def test_a_folder_whose_name_cannot_be_a_data_sets_needs_one(source: str, tmp_path: Path):
    (tmp_path / source).mkdir()
    with pytest.raises(UsageError) as caught:
        name_of_source(tmp_path / source)
    assert "--name" in caught.value.hint


def test_an_interrupted_import_leaves_nothing(tmp_path: Path, home: Path):
    source = write_flickr8k(tmp_path / "set", make_images())
    events = import_dataset(source, "mine")
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert [p.name for p in (home / "datasets").iterdir() if p.is_dir()] == []
    assert isinstance(list(import_dataset(source, "mine"))[-1], Finished)


def test_names_in_manifests_cannot_leave_the_folder(tmp_path: Path, home: Path):
    source = tmp_path / "set"
    source.mkdir()
    minis.draw(1).save(source / "a.jpg")
    lines = [
        {"schema_version": 1, "kind": "capgen-dataset", "name": "x"},
        {"image_id": "../../../evil.jpg", "image": "a.jpg", "references": ["a"], "split": "train"},
    ]
    manifest = source / "capgen-dataset.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    list(import_dataset(source, "mine"))
    assert not list(tmp_path.rglob("evil*"))
    images = home / "datasets" / "mine" / "images"
    assert [path.name for path in images.iterdir()] == ["00000000.jpg"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"kind": "capgen-dataset"}'], r":1: not the header"),
        (['{"kind": "capgen-dataset", "name": "x"}', "{}"], r":2: expected image_id, image"),
        (
            [
                '{"kind": "capgen-dataset", "name": "x"}',
                '{"image_id": "a", "image": "a", "references": [1], "split": "train"}',
            ],
            r":2: expected image_id, image",
        ),
    ],
)
def test_malformed_manifests(lines: list[str], message: str, tmp_path: Path):
    (tmp_path / "capgen-dataset.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_options_reach_the_reader(tmp_path: Path):
    source = minis.write_table(tmp_path / "set", make_images(), columns=("a", "b", "c"))
    options = ReadOptions(image_column="a", caption_column="b", split_column="c")
    finished = list(import_dataset(source, "mine", options=options))[-1]
    assert isinstance(finished, Finished)
    assert finished.splits == {"train": 6, "val": 2, "test": 2}


@pytest.mark.realdata
def test_coco_sample(realdata: Path):
    finished = list(import_dataset(realdata / "coco_sample", "coco_sample"))[-1]
    assert isinstance(finished, Finished)
    assert (finished.images, finished.splits) == (3229, {"train": 2929, "val": 300})
    assert open_dataset("coco_sample", None).digest == (
        load_dataset(realdata / "coco_sample").digest
    )


def test_copies_have_names_that_every_system_can_have(tmp_path: Path, home: Path):
    source = tmp_path / "set"
    source.mkdir()
    for number, name in enumerate(("dog.jpg", "Dog.jpg", "at 10:30.jpg")):
        minis.draw(number).save(source / name)
        (source / name).with_suffix(".txt").write_text(f"image {number}\n")
    list(import_dataset(source, "mine"))
    copies = {path.name for path in (home / "datasets" / "mine" / "images").iterdir()}
    # The captions of the first two are of one file on other systems: they are in order here.
    assert copies == {"Dog.jpg", "00000001.jpg", "00000002.jpg"}
    examples = {example.references[0]: example for example in load_dataset("mine").examples}
    for number, name in enumerate(("dog.jpg", "Dog.jpg", "at 10:30.jpg")):
        example = examples[f"image {number}"]
        assert example.image_id == name
        assert example.image.read_bytes() == (source / name).read_bytes()


@pytest.mark.parametrize("name", ["con", "NUL.set", "com1"])
def test_data_sets_are_not_called_what_windows_reserves(tmp_path: Path, name: str):
    source = write_flickr8k(tmp_path / "set", make_images())
    with pytest.raises(UsageError, match="cannot be a data set's name"):
        list(import_dataset(source, name))


def test_an_edited_manifest_may_begin_with_a_mark(tmp_path: Path):
    source = write_flickr8k(tmp_path / "set", make_images())
    list(import_dataset(source, "mine"))
    expected = load_dataset("mine")
    manifest = expected.root / "capgen-dataset.jsonl"
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes().replace(b"\n", b"\r\n"))
    assert load_dataset("mine").digest == expected.digest


def image(path: Path, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(seed).save(path)
    return path


def take_in(source: Path, *, link: bool = False, images: Path | None = None) -> list[str]:
    """Import as `mine` and return the notices."""
    options = ReadOptions(images=images)
    events = list(import_dataset(source, "mine", link=link, options=options))
    assert isinstance(events[-1], Finished)
    return [event.message for event in events if isinstance(event, Notice)]


def copies(home: Path) -> list[str]:
    folder = home / "datasets" / "mine" / "images"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def rows(names: list[str]) -> list[tuple[str, str]]:
    return [(name, f"caption {number}") for number, name in enumerate(names)]


def write_csv(root: Path, names: list[str]) -> Path:
    lines = "".join(f"{name},{text}\n" for name, text in rows(names))
    (root / "captions.csv").write_text("image,caption\n" + lines)
    return root


def write_coco(root: Path, names: list[str]) -> Path:
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    texts = [
        {"id": number, "image_id": number, "caption": text}
        for number, (_, text) in enumerate(rows(names))
    ]
    (root / "annotations").mkdir()
    file = root / "annotations" / "captions_train2017.json"
    file.write_text(json.dumps({"images": images, "annotations": texts}))
    return root


def write_coco_annotations(root: Path, names: list[str]) -> Path:
    return write_coco(root, names) / "annotations"


def write_karpathy(root: Path, names: list[str]) -> Path:
    items = [
        {"filename": name, "split": "train", "sentences": [{"raw": text}]}
        for name, text in rows(names)
    ]
    (root / "dataset.json").write_text(json.dumps({"images": items}))
    return root


def write_manifest(root: Path, names: list[str]) -> Path:
    lines: list[dict[str, object]] = [{"kind": "capgen-dataset", "name": "x"}]
    lines += [
        {"image_id": Path(name).name, "image": name, "references": [text], "split": "train"}
        for name, text in rows(names)
    ]
    (root / "capgen-dataset.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def write_flickr_tokens(root: Path, names: list[str]) -> Path:
    lines = "".join(f"{name}#0\t{text}\n" for name, text in rows(names))
    (root / "Flickr8k.token.txt").write_text(lines)
    return root


def write_metadata(root: Path, names: list[str]) -> Path:
    lines = (json.dumps({"file_name": name, "text": text}) + "\n" for name, text in rows(names))
    (root / "metadata.jsonl").write_text("".join(lines))
    return root


def write_saved(root: Path, names: list[str]) -> Path:
    datasets = pytest.importorskip("datasets")
    columns = {"image": [str(root / name) for name in names], "text": [t for _, t in rows(names)]}
    datasets.Dataset.from_dict(columns).save_to_disk(str(root))
    return root


NAMING: dict[str, Callable[[Path, list[str]], Path]] = {
    "table": write_csv,
    "coco": write_coco,
    "coco annotations": write_coco_annotations,
    "karpathy": write_karpathy,
    "capgen": write_manifest,
    "flickr": write_flickr_tokens,
    "imagefolder": write_metadata,
    "datasets": write_saved,
}


@pytest.mark.parametrize("layout", NAMING)
def test_images_outside_are_not_copied(layout: str, tmp_path: Path, home: Path):
    root = tmp_path / "around" / "set"
    image(root / "a.jpg")
    secret = image(tmp_path / "secret.jpg")
    (root / "link.jpg").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    (root / "inside.jpg").symlink_to("a.jpg")
    names = ["a.jpg", "inside.jpg", "link.jpg", "folder/secret.jpg", "../../secret.jpg"]
    notices = take_in(NAMING[layout](root, [*names, str(secret)]))
    assert copies(home) == ["a.jpg", "inside.jpg"]
    told = next(line for line in notices if line.startswith("image outside the data folder ("))
    assert "link.jpg is outside the data folder" in told
    assert any("--images" in line for line in notices)
    assert not (home / "datasets" / "mine" / "images" / "inside.jpg").is_symlink()


@pytest.mark.parametrize("link", [False, True])
def test_files_that_are_not_images_are_not_taken_in(link: bool, tmp_path: Path, home: Path):
    root = tmp_path / "set"
    image(root / "a.jpg")
    (root / "key.jpg").write_text("-----BEGIN PRIVATE KEY-----\n")
    (root / "empty.jpg").touch()
    os.mkfifo(root / "pipe.jpg")  # must not be waited for
    (root / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "shadow").write_text("root:x:0:0\n")
    names = ["a.jpg", "key.jpg", "empty.jpg", "pipe.jpg", "zero.jpg", str(tmp_path / "shadow")]
    told = "\n".join(take_in(write_csv(root, names), link=link))
    assert [e.image_id for e in load_dataset("mine").examples] == ["a.jpg"]
    assert "key.jpg is text, not an image" in told
    assert "empty image file (1)" in told
    assert "missing image, with its captions (2)" in told
    counts = "file that is not an image (2)" if link else "image outside the data folder (1)"
    assert counts in told


def test_images_outside_may_be_named(tmp_path: Path, home: Path):
    root = tmp_path / "set"
    image(root / "a.jpg")
    away = image(tmp_path / "away" / "b.jpg", 2)
    write_csv(root, [str(root / "a.jpg"), str(away)])
    take_in(root, images=tmp_path / "away")
    assert copies(home) == ["a.jpg", "b.jpg"]
    remove("mine")
    assert not take_in(root, link=True)  # nothing is copied, so nothing leaks
    assert {e.image for e in load_dataset("mine").examples} == {root / "a.jpg", away}


def test_nothing_but_images_outside_says_what_to_do(tmp_path: Path, home: Path):
    away = image(tmp_path / "away" / "b.jpg")
    root = tmp_path / "set"
    root.mkdir()
    with pytest.raises(DataError, match="is outside the data folder") as caught:
        take_in(write_csv(root, [str(away)]))
    assert "--images" in caught.value.hint
    assert installed() == []


@pytest.mark.parametrize("link", [False, True])
def test_captions_outside_are_not_copied(link: bool, tmp_path: Path, home: Path):
    root = tmp_path / "set"
    for number, name in enumerate(("a.jpg", "b.jpg")):
        image(root / name, number)
    (root / "a.txt").write_text("a dog\n")
    (tmp_path / "secret").write_text("password\nhunter2\n")
    (root / "b.txt").symlink_to(tmp_path / "secret")
    (told,) = take_in(root, link=link)
    assert told.startswith("captions outside the data folder (1): b.jpg: ")
    manifest = home / "datasets" / "mine" / "capgen-dataset.jsonl"
    assert "hunter2" not in manifest.read_text()
    assert load_dataset("mine").captions == 1


def test_a_file_that_is_named_may_be_a_link(tmp_path: Path, home: Path):
    root = tmp_path / "set"
    image(root / "a.jpg")
    (tmp_path / "tables").mkdir()
    write_csv(tmp_path / "tables", ["a.jpg"])
    (root / "t.csv").symlink_to(tmp_path / "tables" / "captions.csv")
    assert take_in(root / "t.csv") == []
    (tmp_path / "alias").symlink_to(root)
    remove("mine")
    write_csv(root, ["a.jpg"])
    (root / "t.csv").unlink()
    assert take_in(tmp_path / "alias") == []


def test_a_snapshot_of_the_hub_is_its_own_files(tmp_path: Path, home: Path):
    repository = tmp_path / "datasets--someone--photos"
    snapshot = repository / "snapshots" / "abc" / "data"
    snapshot.mkdir(parents=True)
    blob = repository / "blobs" / ("0" * 64)
    draw(1).save(image(repository / "blobs" / "x.jpg"))
    (repository / "blobs" / "x.jpg").rename(blob)
    (snapshot / "a.jpg").symlink_to(blob)
    write_csv(repository / "blobs", ["a.jpg", "secret.jpg"])
    (repository / "blobs" / "captions.csv").rename(repository / "blobs" / ("1" * 40))
    (snapshot / "captions.csv").symlink_to(repository / "blobs" / ("1" * 40))
    (snapshot / "secret.jpg").symlink_to(image(tmp_path / "secret.jpg"))
    take_in(snapshot)
    assert copies(home) == ["a.jpg"]
    # A folder that only looks like the cache opens nothing.
    blobs = repository / "blobs"
    blobs.rename(tmp_path / "real")
    blobs.symlink_to(tmp_path / "real")
    with pytest.raises(DataError, match="is outside the data folder"):
        list(import_dataset(snapshot, "again"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_modes_are_not_widened(tmp_path: Path, home: Path):
    root = tmp_path / "set"
    wanted = {"a.jpg": 0o600, "b.jpg": 0o640, "c.jpg": 0o400, "d.jpg": 0o755}
    for number, (name, bits) in enumerate(wanted.items()):
        image(root / name, number).chmod(bits)
    old = os.umask(0)
    try:
        take_in(write_csv(root, list(wanted)))
    finally:
        os.umask(old)
    images = home / "datasets" / "mine" / "images"
    found = {name: mode(images / name) for name in wanted}
    assert found == {"a.jpg": 0o600, "b.jpg": 0o640, "c.jpg": 0o400, "d.jpg": 0o644}
    remove("mine")
    assert installed() == []


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("link.jpg")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    return path


def test_a_bad_member_of_a_shard_is_told_and_the_others_go_on(tmp_path: Path, home: Path):
    data = image(tmp_path / "a.jpg").read_bytes()
    members = {"a.jpg": data, "a.txt": b"a dog", "b.jpg": b"root:x:0:0", "b.txt": b"no image"}
    path = write_shard(tmp_path / "s.tar", {**members, "../c.jpg": data, "c.txt": b"up"})
    path.chmod(0o600)
    for name in ("mine", "from the cache"):
        notices = take_in(path)
        assert len(notices) == 2, name
        assert notices[0].startswith("archive member that is not extracted (2): ")
        assert "its member '../c.jpg' leads out of the folder" in notices[0]
        assert "its member 'link.jpg' is a link or a device" in notices[0]
        assert notices[1].startswith("file that is not an image (1): ")
        assert copies(home) == ["a.jpg"]
        if sys.platform != "win32":
            assert mode(home / "datasets" / "mine" / "images" / "a.jpg") == 0o600
            cached = [p for p in (home / "cache" / "webdataset").rglob("*.jpg") if mode(p) != 0o600]
            assert not cached
        remove("mine")


def test_a_linked_import_of_shards_outlives_the_cache(tmp_path: Path, home: Path):
    images = make_images()
    source = minis.write_webdataset(tmp_path / "set", images)
    events = list(import_dataset(source, "mine", link=True))
    before = open_dataset("mine", None).digest
    clear_caches()
    dataset = open_dataset("mine", None)
    assert len(dataset.examples) == len(images)
    assert dataset.digest == before
    assert copies(home) == sorted(image.name for image in images)
    copied = [event for event in events if isinstance(event, Progress)]
    assert [(event.done, event.total) for event in copied][-1] == (len(images), len(images))


def test_a_linked_import_copies_only_what_the_cache_has(tmp_path: Path, home: Path):
    save_images(tmp_path, make_images(2))
    cached = home / "cache" / "datasets" / "x" / "a.jpg"
    cached.parent.mkdir(parents=True)
    shutil.copyfile(sorted(tmp_path.glob("*.jpg"))[0], cached)
    lines = [{"schema_version": 1, "kind": "capgen-dataset", "name": "x"}]
    for path in (cached, *sorted(tmp_path.glob("*.jpg"))):
        lines.append(
            {"image_id": path.name, "image": str(path), "references": ["a"], "split": "train"}
        )
    manifest = tmp_path / "capgen-dataset.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    list(import_dataset(tmp_path, "mine", link=True))
    inside = [
        e.image.is_relative_to(home / "datasets") for e in open_dataset("mine", None).examples
    ]
    assert sorted(inside) == [False, False, True]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_images_of_a_saved_directory_keep_its_mode(tmp_path: Path, home: Path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    columns = {"image": [draw(1)], "text": ["a dog"]}
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(tmp_path / "set"))
    for path in (tmp_path / "set").glob("*.arrow"):
        path.chmod(0o600)
    take_in(tmp_path / "set")
    (copy,) = (home / "datasets" / "mine" / "images").iterdir()
    assert mode(copy) == 0o600
