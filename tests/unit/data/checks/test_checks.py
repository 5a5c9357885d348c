from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from capgen.cache_folders import clear as clear_caches
from capgen.data.checks import Diagnosis, diagnose, write_fixed
from capgen.data.checks.captions import check_caption, clean_caption
from capgen.data.checks.images import perceptual_hash
from capgen.data.dataset import load_dataset
from capgen.data.formats.reading import ReadOptions
from capgen.data.problems import PROBLEMS
from capgen.errors import DataError
from capgen.images.decoders import out_of_memory
from capgen.images.load import LoadedImage, load_image
from tests import minis
from tests.broken_images import png_without_palette, tiff
from tests.minis import MiniImage, draw, make_images, write_flickr8k

IMAGES = make_images(100)


def examine(root: Path) -> Diagnosis:
    *_, diagnosis = diagnose(root)
    assert isinstance(diagnosis, Diagnosis)
    return diagnosis


class Planted:
    """A generated set to plant faults in: each names the class and the image it is at."""

    def __init__(self, root: Path) -> None:
        self.root = write_flickr8k(root, IMAGES)
        self.images = root / "Flicker8k_Dataset"
        self.text = root / "Flickr8k_text"
        self.expected: set[tuple[str, str]] = set()
        self.free = iter(p for p in IMAGES if p.split == "train")

    def path(self, code: str, image: MiniImage | None = None) -> Path:
        """Expect `code` at the next unspoilt image and return its file."""
        image = image or next(self.free)
        self.expected.add((code, image.name))
        return self.images / image.name

    def caption(self, code: str, text: str | bytes) -> None:
        """Expect `code` at the next unspoilt image, whose first caption becomes `text`."""
        image = next(self.free)
        self.expected.add((code, image.name))
        tokens = self.text / "Flickr8k.token.txt"
        new = text if isinstance(text, bytes) else text.encode()
        tokens.write_bytes(tokens.read_bytes().replace(image.captions[0].encode(), new, 1))

    def add(self, file: str, line: str) -> None:
        """Append a line to one of the text files."""
        with (self.text / file).open("a", encoding="utf-8") as out:
            out.write(line + "\n")


def jpeg(image: Image.Image, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", **options)
    return data.getvalue()


def plant_images(planted: Planted) -> None:
    planted.path("image_missing").unlink()
    planted.path("image_empty").write_bytes(b"")
    planted.path("image_not_an_image").write_bytes(b"<html>404</html>" * 50)
    path = planted.path("image_truncated")
    path.write_bytes(path.read_bytes()[:-200])
    bad = bytearray(jpeg(draw(901)))
    bad[20:60] = b"\xff" * 40
    planted.path("image_unreadable").write_bytes(bad)
    planted.path("image_unreadable").write_bytes(png_without_palette())
    planted.path("image_unreadable").write_bytes(tiff({273: (11, 3.0)}))
    path = planted.path("image_too_large")
    header = bytearray(jpeg(draw(902)))
    at = header.index(b"\xff\xc0") + 5
    header[at : at + 4] = (60000).to_bytes(2, "big") * 2
    path.write_bytes(header)
    draw(903, (20, 24)).save(planted.path("image_too_small"))
    draw(904, (400, 40)).save(planted.path("image_extreme_aspect"))
    Image.new("RGB", (64, 64), (9, 9, 200)).save(planted.path("image_blank"))
    frames = [draw(seed) for seed in (905, 906)]
    path = planted.path("image_animated")
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])
    planted.expected.add(("image_wrong_extension", path.name))
    draw(907).save(planted.path("image_wrong_extension"), "PNG")
    path = planted.path("image_name_case")
    path.rename(path.with_name(path.name.upper()))
    planted.expected.add(("image_without_captions", path.name.upper()))
    planted.expected.add(("image_without_captions", "stray.jpg"))
    draw(908).save(planted.images / "stray.jpg")
    (planted.root / "outside.jpg").write_bytes(jpeg(draw(909)))
    planted.add("Flickr8k.token.txt", "../outside.jpg#0\ta dog near the house")
    planted.expected.add(("image_outside", "outside.jpg"))


def plant_duplicates(planted: Planted) -> None:
    source = planted.images / next(planted.free).name
    train = [p for p in IMAGES if p.split == "train"][-1]
    planted.path("image_duplicate", train).write_bytes(source.read_bytes())
    source = planted.images / next(planted.free).name
    test = [p for p in IMAGES if p.split == "test"]
    planted.path("image_duplicate_across", test[0]).write_bytes(source.read_bytes())
    source = planted.images / next(planted.free).name
    # As if downloaded again elsewhere: smaller, another quality, a little brighter.
    near = ImageEnhance.Brightness(Image.open(source)).enhance(1.1).resize((42, 36))
    path = planted.path("image_near_duplicate_across", test[1])
    path.write_bytes(jpeg(near, quality=60))


def plant_captions(planted: Planted) -> None:
    planted.caption("caption_empty", " ")
    planted.caption("caption_very_long", "a dog and " * 40 + "a cat")
    planted.caption("caption_very_short", "dog")
    planted.caption("caption_mojibake", "a dog at a cafÃ© near the house")
    planted.caption("caption_replacement", "a dog at a caf\ufffd near the house")
    planted.caption("caption_control", "a dog\u200b near \x07the house")
    planted.caption("caption_whitespace", "a dog   near the house  ")
    planted.caption("caption_markup", "a <b>dog</b> &amp; a cat")
    planted.caption("caption_url", "a dog, see http://example.org/dog.jpg")
    planted.caption("caption_placeholder", "IMG_1234.JPG")
    planted.caption("caption_stutter", "a dog dog dog dog dog runs")
    planted.caption("caption_language", "der Hund steht auf dem Rasen und die Frau ist mit ihm")
    planted.caption("wrong_encoding", b"a dog at a caf\xe9")
    image = next(planted.free)
    planted.add("Flickr8k.token.txt", f"{image.name}#5\t{image.captions[2]}")
    planted.expected.add(("caption_duplicate", image.name))
    few = next(planted.free)
    tokens = planted.text / "Flickr8k.token.txt"
    lines = tokens.read_bytes().split(b"\n")
    kept = [line for line in lines if not line.startswith(f"{few.name}#4".encode())]
    tokens.write_bytes(b"\n".join(kept))
    planted.expected.add(("captions_few", few.name))
    for number in range(6):
        image = next(planted.free)
        planted.add("Flickr8k.token.txt", f"{image.name}#9\ta image of the thing")
        if number == 0:
            planted.expected.add(("caption_repeated", image.name))


def plant_lists(planted: Planted) -> None:
    planted.add("Flickr8k.token.txt", "a line without a tab")
    train = next(planted.free)
    planted.add("Flickr_8k.testImages.txt", train.name)
    planted.expected.add(("split_overlap", train.name))
    planted.add("Flickr_8k.testImages.txt", "never_seen.jpg")
    planted.expected.add(("split_unknown_image", "never_seen.jpg"))


def test_every_planted_fault_is_found(tmp_path: Path):
    planted = Planted(tmp_path / "set")
    plant_lists(planted)
    plant_duplicates(planted)
    plant_images(planted)
    plant_captions(planted)
    diagnosis = examine(planted.root)
    found = {(p.code, p.image_id) for p in diagnosis.problems if p.image_id}
    # An encoding fault is known by its line, not yet by its image.
    by_line = {p.code: p for p in diagnosis.problems if p.image_id is None}
    assert by_line["wrong_encoding"].line and by_line["malformed_line"].line
    expected = {pair for pair in planted.expected if pair[0] != "wrong_encoding"}
    assert expected - found == set()
    assert len({code for code, _ in planted.expected} | {"malformed_line"}) >= 33
    surplus = {pair for pair in found - expected if pair[0] not in ("captions_few",)}
    assert surplus == set()


def test_an_image_that_there_is_no_memory_for_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def scarce(data: bytes, *, name: str) -> LoadedImage:
        if name == IMAGES[0].name:
            raise out_of_memory(name)
        return load_image(data, name=name)

    monkeypatch.setattr("capgen.data.checks.images.load_image", scarce)
    diagnosis = examine(write_flickr8k(tmp_path / "set", IMAGES))
    (problem,) = diagnosis.problems
    assert problem.code == "image_needs_memory"
    assert not problem.kind.fix  # `capgen data fix` would drop a sound image


def test_a_sound_set_has_no_findings(tmp_path: Path):
    diagnosis = examine(write_flickr8k(tmp_path / "set", IMAGES))
    assert diagnosis.problems == []
    assert diagnosis.languages.keys() <= {"English", "unknown"}


def test_split_names_and_empty_splits(tmp_path: Path):
    image = make_images(2)[0].name
    draw(1).save(tmp_path / image)
    (tmp_path / "t.csv").write_text(f"image,caption,split\n{image},a dog runs,trian\n")
    counts = examine(tmp_path).counts
    assert counts["split_unknown_name"] == 1
    assert counts["split_empty"] > 0


def test_every_class_is_documented_and_can_be_found():
    assert all(kind.title for kind in PROBLEMS.values())
    assert len(PROBLEMS) >= 30


def test_fix_writes_a_set_that_is_sound(tmp_path: Path):
    planted = Planted(tmp_path / "set")
    plant_lists(planted)
    plant_duplicates(planted)
    plant_images(planted)
    plant_captions(planted)
    with pytest.raises(DataError):
        load_dataset(planted.root)
    before = {p: p.stat().st_mtime_ns for p in planted.root.rglob("*")}
    fixed = write_fixed(examine(planted.root), tmp_path / "clean.jsonl")
    assert {p: p.stat().st_mtime_ns for p in planted.root.rglob("*")} == before
    dataset = load_dataset(tmp_path / "clean.jsonl")
    assert dataset.problems == []
    assert (len(dataset.examples), dataset.captions) == (fixed.images, fixed.captions)
    assert fixed.dropped_pictures >= 10 and fixed.cleaned_captions >= 4
    left = examine(tmp_path / "clean.jsonl").counts
    stays = {code for code, kind in PROBLEMS.items() if not kind.fix}
    assert set(left) <= stays
    texts = [text for example in dataset.examples for text in example.references]
    assert "a dog at a café near the house" in texts
    assert "a dog & a cat" in texts


def test_fix_of_shards_outlives_the_cache(tmp_path: Path):
    root = minis.write_webdataset(tmp_path / "set", make_images())
    fixed = write_fixed(examine(root))
    before = load_dataset(root).digest
    clear_caches()
    assert load_dataset(root).digest == before
    copied = sorted((root / "capgen-dataset.images").iterdir())
    assert len(copied) == fixed.images == 10
    write_fixed(examine(root))  # the manifest now: nothing is left to copy
    assert sorted((root / "capgen-dataset.images").iterdir()) == copied
    options = ReadOptions(format="webdataset")
    *_, diagnosis = diagnose(root, options=options)
    assert isinstance(diagnosis, Diagnosis)
    with pytest.raises(DataError, match=r"Cannot copy images to .*capgen-dataset\.images"):
        write_fixed(diagnosis)


def test_fix_in_place_of_a_folder_and_of_a_manifest(tmp_path: Path):
    root = write_flickr8k(tmp_path / "set", make_images())
    next((root / "Flicker8k_Dataset").iterdir()).write_bytes(b"")
    write_fixed(examine(root))
    assert load_dataset(root).format == "capgen"
    assert len(load_dataset(root).examples) == 9
    next(p for p in (root / "Flicker8k_Dataset").iterdir() if p.stat().st_size).write_bytes(b"x")
    write_fixed(examine(root))
    assert len(load_dataset(root).examples) == 8
    assert (root / "capgen-dataset.original.jsonl").is_file()
    for image in (root / "Flicker8k_Dataset").iterdir():
        image.write_bytes(b"")
    with pytest.raises(DataError, match=r"Nothing would be left of"):
        write_fixed(examine(root))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("cafÃ© au lait", "café au lait"),
        ("it\u2019s â€œfineâ€\x9d", "it’s “fine”"),
        ("a\u2028b\u200bc  d", "a bc d"),
        ("a <i>dog</i> &lt;3 &#39;x&#39;", "a dog <3 'x'"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("Ã la carte", "Ã la carte"),
    ],
)
def test_cleaning(text: str, clean: str):
    assert clean_caption(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "A black dog and a spotted dog are fighting",
        "A man in a hat , a woman and a child .",
        "Zwei Hunde spielen im Schnee.",
        "两只狗在雪地里玩耍",
        "A dog -- very very happy -- runs & jumps !",
        "naïve façade, Ångström, São Paulo",
        "a 50% off sign ; 3 < 5",
    ],
)
def test_good_captions_have_no_faults(text: str):
    assert list(check_caption(text)) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((image.width // 2, image.height // 2)),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: Image.open(io.BytesIO(jpeg(image, quality=30))),
        lambda image: image.crop((1, 1, image.width - 1, image.height - 1)),
    ],
)
def test_perceptual_hash_survives_small_changes(change: Callable[[Image.Image], Image.Image]):
    def fingerprint(image: Image.Image) -> np.ndarray:
        grey = image.convert("L").resize((32, 32), Image.Resampling.BOX)
        return perceptual_hash(np.asarray(grey))

    images = [draw(seed, (200, 160)) for seed in range(20)]
    same = [int((fingerprint(p) != fingerprint(change(p))).sum()) for p in images]
    assert max(same) <= 10
    prints = [fingerprint(p) for p in images]
    other = [int((a != b).sum()) for i, a in enumerate(prints) for b in prints[:i]]
    assert min(other) > 10


@pytest.mark.realdata
def test_the_one_duplicate_of_flickr8k(realdata: Path):
    diagnosis = examine(realdata / "flickr8k")
    duplicates = [p for p in diagnosis.problems if p.code.startswith("image_")]
    assert len(duplicates) == 1
    assert duplicates[0].code == "image_duplicate"
    assert duplicates[0].image_id == "3050606344_af711c726c.jpg"
    assert "2851198725_37b6027625.jpg (train; this one: train)" in duplicates[0].message


def test_pipes_are_not_waited_for(tmp_path: Path):
    draw(1).save(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "t.csv").write_text("image,caption\na.jpg,a dog\npipe.jpg,a cat\n")
    found: list[Diagnosis] = []
    thread = threading.Thread(target=lambda: found.append(examine(tmp_path)), daemon=True)
    thread.start()
    thread.join(30)
    if thread.is_alive():
        os.close(os.open(tmp_path / "pipe.jpg", os.O_RDWR))  # lets it go
        pytest.fail("it waits for a writer")
    (diagnosis,) = found
    faulty = [p.image_id for p in diagnosis.problems if p.code == "image_not_an_image"]
    assert faulty == ["pipe.jpg"]
