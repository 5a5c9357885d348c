"""CHAIR, diversity, the kinds of CIDEr and CLIPScore through `capgen eval`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from capgen.cli.main import main
from capgen.evaluation.evaluation_set import read_references
from capgen.evaluation.evidence import read_instances
from capgen.metrics.chair import coco_objects
from tests.minis import make_images, write_flickr8k
from tests.tiny_models import save_tiny_clip_with_words

IMAGES = make_images(20)
TEST = [image for image in IMAGES if image.split == "test"]
N_BEST = ("self-CIDEr", "mBLEU-4", "distinct-1 (n-best)", "distinct-2 (n-best)")


@pytest.fixture
def flickr(tmp_path: Path) -> Path:
    return write_flickr8k(tmp_path / "mini8k", IMAGES)


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """Each image's first reference, with two others as alternatives."""
    path = tmp_path / "said.json"
    records = [
        {"image_id": p.name, "caption": p.captions[0], "alternatives": list(p.captions[1:3])}
        for p in TEST
    ]
    path.write_text(json.dumps(records))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main(["eval", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def report(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    code, out, err = run(capsys, *arguments, "--json", "-")
    assert code == 0, err
    record: dict[str, Any] = json.loads(out)
    return record


def instances(folder: Path, objects: dict[str, Sequence[str]]) -> Path:
    categories = sorted({name for names in objects.values() for name in names} | {"zebra"})
    path = folder / "instances_made.json"
    content = {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(objects)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(categories)],
        "annotations": [
            {"image_id": n, "category_id": categories.index(name), "segmentation": []}
            for n, names in enumerate(objects.values())
            for name in names
        ],
    }
    path.write_text(json.dumps(content))
    return path


def test_kinds_of_cider_from_table_to_page(
    flickr: Path, said: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    arguments = ("--data-dir", flickr, "--predictions", said, "--metrics", "cider,cider_r,cider_d")
    code, out, _ = run(capsys, *arguments, "--html", page)
    assert code == 0
    for name in ("CIDEr ", "CIDEr-R", "CIDEr-D"):
        assert name in out
    words = " ".join(out.split())
    assert "of the references')" in words and "say a content word twice" in words
    assert "share of the references" in page.read_text()
    record = report(capsys, *arguments)
    assert 1 < record["corpus"]["CIDEr"] < 10
    assert 1 < record["corpus"]["CIDEr-R"] < 10
    assert set(record["intervals"]) == {"CIDEr", "CIDEr-R", "CIDEr-D"}
    assert "equation 2" in record["stamp"]["definitions"]["cider"]
    assert 0 < record["language"]["coverage"] < 1


def test_diversity_of_a_model_and_of_its_report(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--data-dir", flickr, "--metrics", "diversity,bleu")
    record = report(capsys, *arguments, "--num-captions", "3", "--beams", "4")
    assert set(N_BEST) < set(record["corpus"])
    assert all(len(image["alternatives"]) == 2 for image in record["images"])
    kept = tmp_path / "report.json"
    kept.write_text(json.dumps(record))
    again = report(capsys, *arguments, "--predictions", kept)
    assert again["corpus"] == record["corpus"]
    assert again["images"] == record["images"]
    code, _, err = run(capsys, *arguments)
    assert code == 2 and "several captions per image" in err and "--num-captions" in err


def test_records_of_captioning_have_alternatives(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = tmp_path / "records.jsonl"
    images = [str(flickr / "Images" / p.name) for p in TEST]
    if not Path(images[0]).is_file():
        images = [str(next(flickr.rglob(p.name))) for p in TEST]
    assert main(["caption", *images, "--num-captions", "2", "-o", str(records)]) == 0
    capsys.readouterr()
    record = report(
        capsys, "--data-dir", flickr, "--predictions", records, "--metrics", "diversity"
    )
    assert set(record["corpus"]) == set(N_BEST)


def test_two_systems_by_diversity(
    flickr: Path, said: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dull = tmp_path / "dull.json"
    text = "a dog runs on the grass"
    same = [{"image_id": p.name, "caption": text, "alternatives": [text]} for p in TEST]
    dull.write_text(json.dumps(same))
    arguments = ("--data-dir", flickr, "--predictions", said, "--metrics", "diversity")
    record = report(capsys, *arguments, "--compare", dull)
    for name in N_BEST:
        difference = record["differences"][name]
        assert difference["wins"] == len(TEST), name  # less is better of mBLEU-4
    assert record["differences"]["mBLEU-4"]["difference"]["value"] < 0
    # Diversity depends on how many captions there are.
    (note,) = record["notes"]
    assert "has 3 captions per image and the second 2" in note
    code, out, err = run(capsys, *arguments, "--compare", dull)
    assert (code, f"note: {note}" in err) == (0, True)
    assert "\nmBLEU-4: lower is better.\n" in out
    twice = report(capsys, *arguments, "--compare", said)
    assert not twice["notes"]


def test_chair_from_instances_to_report(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = tmp_path / "said.json"
    said.write_text(json.dumps({p.name: "a zebra and a giraffe on a bus" for p in TEST}))
    objects: dict[str, Sequence[str]] = {p.name: ["giraffe"] for p in TEST}
    objects[TEST[0].name] = ["giraffe", "zebra", "bus", "bus"]
    objects["another_split.jpg"] = ["zebra"]
    marked = instances(tmp_path, objects)
    arguments = ("--data-dir", flickr, "--predictions", said, "--metrics", "chair")
    bare = report(capsys, *arguments)
    assert (bare["corpus"]["CHAIRi"], bare["corpus"]["CHAIRs"]) == (1, 1)
    assert any("--instances" in note for note in bare["notes"])
    record = report(capsys, *arguments, "--instances", marked)
    count = len(TEST)
    assert record["corpus"]["CHAIRi"] == pytest.approx(2 * (count - 1) / (3 * count))
    assert record["corpus"]["CHAIRs"] == pytest.approx((count - 1) / count)
    assert record["stamp"]["evidence"]["chair"].endswith("; instances_made.json")
    assert not record["notes"]
    _, out, _ = run(capsys, *arguments, "--format", "latex")
    assert "\n% CHAIRi, CHAIRs: lower is better.\n" in out
    table = tmp_path / "objects.txt"
    table.write_text("zebra\ngiraffe, zebra\nbus, coach\n")
    code, _, err = run(capsys, *arguments, "--instances", marked, "--objects", table)
    assert code == 0, err
    table.write_text("zebra\n")
    code, _, err = run(capsys, *arguments, "--instances", marked, "--objects", table)
    assert code != 0 and "no line for 'bus', 'giraffe'" in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "no list of categories"),
        ('{"categories": [{"id": 1}], "images": [], "annotations": []}', "entry 0 of categories"),
        ('{"categories": [], "images": [], "annotations": []}', "none of the images"),
        ("{", "not valid JSON"),
    ],
)
def test_instances_that_are_none(
    content: str,
    message: str,
    flickr: Path,
    said: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "instances.json"
    path.write_text(content)
    arguments = ("--data-dir", flickr, "--predictions", said)
    code, _, err = run(capsys, *arguments, "--metrics", "chair", "--instances", path)
    assert code != 0 and message in err
    code, _, err = run(capsys, *arguments, "--instances", path)
    assert code == 2 and "Add chair to --metrics" in err


def test_ids_of_the_data_that_are_other_images_of_coco(tmp_path: Path) -> None:
    """Numbers of one's own are COCO's ids of other images, with other objects."""
    files = {"0": "COCO_val2014_000000000042.jpg", "42": "COCO_val2014_000000000073.jpg"}
    annotations = [{"image_id": name, "caption": "a picture"} for name in files]
    images = [{"id": name, "file_name": file} for name, file in files.items()]
    references = tmp_path / "references.json"
    references.write_text(json.dumps({"images": images, "annotations": annotations}))
    marked = {42: "dog", 73: "cat", 0: "bus"}
    names = sorted(marked.values())
    content = {
        "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
        "images": [{"id": n, "file_name": f"COCO_val2014_{n:012}.jpg"} for n in marked],
        "annotations": [
            {"image_id": n, "category_id": names.index(name)} for n, name in marked.items()
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    found = read_instances(tmp_path / "instances.json", coco_objects(), read_references(references))
    assert found == {"0": {"dog"}, "42": {"cat"}}


def test_clipscore_of_predictions(
    flickr: Path, said: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = save_tiny_clip_with_words(tmp_path / "clip")
    arguments = ("--data-dir", flickr, "--predictions", said, "--metrics", "clipscore")
    record = report(capsys, *arguments, "--clip-model", clip, "--device", "cpu")
    assert set(record["corpus"]) == {"CLIPScore", "RefCLIPScore"}
    assert record["stamp"]["evidence"]["clipscore"].startswith(str(clip))
    other = tmp_path / "other.json"
    other.write_text(json.dumps({p.name: "a plane in the sky" for p in TEST}))
    both = report(capsys, *arguments, "--clip-model", clip, "--compare", other)
    assert "p_value" in both["differences"]["CLIPScore"]
    code, _, err = run(capsys, *arguments, "--clip-model", tmp_path / "nowhere")
    assert code != 0 and "nowhere" in err
