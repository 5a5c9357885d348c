"""What is wrong with alternative texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.alt_text.findings import Finding, PlacedImage, findings, is_file_name
from capgen.alt_text.image_files import ImageFiles, web_address
from capgen.alt_text.places import Place
from capgen.alt_text.sarif import sarif


def image(text: str, address: str = "a.jpg", page: str = "x.md", same: str = "") -> PlacedImage:
    state = "written" if text else "missing"
    place = Place(start=0, line=3, column=5, address=address, state=state, text=text)  # type: ignore[arg-type]
    return PlacedImage(page, place, same or address)


def rules(text: str, address: str = "a.jpg") -> list[str]:
    return [each.rule.id for each in findings([image(text, address)], max_characters=125)]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("", ["missing"]),
        ("IMG_2041.JPG", ["file-name"]),
        ("DSC01234", ["file-name"]),
        ("20240531_101112", ["file-name"]),
        ("Screenshot 2024-05-31 at 10.11.12", ["file-name"]),
        ("image", ["placeholder"]),
        ("Photo 1", ["placeholder"]),
        ("alt text", ["placeholder"]),
        ("TODO", ["placeholder"]),
        ("...", ["placeholder"]),
        ("Foto", ["placeholder"]),
        ("Mein Bild 3", ["placeholder"]),
        ("la imagen", ["placeholder"]),
        ("Fotografía", ["placeholder"]),
        ("Bildschirmfoto 2024-05-31 um 10.11.12", ["file-name"]),
        ("Captura de pantalla 2024-05-31 a las 10.11.12", ["file-name"]),
        ("Bild eines Hundes", ["image-of"]),
        ("Bilderbuch", []),
        ("an image of a dog", ["image-of"]),
        ("Photograph showing two people", ["image-of"]),
        ("Ein Bild von einem Hund", ["image-of"]),
        ("black and white photo of a dog", []),
        ("a dog", []),
        ("the team of 2024", []),
        ("a picture frame on a wall", []),
        ("1984", ["file-name"]),
        ("a " * 63 + "dog", ["too-long"]),
        ("a man takes a photo of a dog", []),
        ("Logo", []),
    ],
)
def test_rules(text: str, broken: list[str]) -> None:
    assert rules(text) == broken


def test_the_name_of_its_own_file() -> None:
    assert is_file_name("team_photo-2", "/img/team_photo-2.png")
    assert not is_file_name("dog", "dog.jpg")
    assert not is_file_name("a dog", "http://[broken/a.jpg")


def test_the_same_text_on_different_images() -> None:
    images = [
        *(image("A dog.", "a.jpg"), image("a  dog", "b.jpg", "y.md")),
        *(image("a cat", "c.jpg"), image("a cat", "./c.jpg", same="c.jpg")),
    ]
    found = list(findings(images, max_characters=125))
    assert [(each.rule.id, each.page) for each in found] == [
        ("repeated", "x.md"),
        ("repeated", "y.md"),
    ]


def test_sarif() -> None:
    found = list(findings([image("", "a b.jpg", "blog/ä.md")], max_characters=125))
    found.append(Finding(found[0].rule, "z.md", None, None, "cannot be read"))
    log = json.loads(json.dumps(sarif(found, "1.2.3")))
    [run] = log["runs"]
    assert run["tool"]["driver"]["semanticVersion"] == "1.2.3"
    first, second = run["results"]
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == first["ruleId"] == "missing"
    assert first["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "blog/%C3%A4.md"},
                "region": {"startLine": 3, "startColumn": 5},
            }
        }
    ]
    assert "region" not in second["locations"][0]["physicalLocation"]
    assert first["partialFingerprints"] != second["partialFingerprints"]


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("a.jpg", "content/blog/a.jpg"),
        ("../b.jpg?v=2#x", "content/b.jpg"),
        ("/c.jpg", "static/c.jpg"),
        ("c.jpg", "static/c.jpg"),
        ("d%20e.jpg", "content/blog/d e.jpg"),
        ("pics\\f.jpg", "content/blog/pics/f.jpg"),
        ("/own/g.jpg", "elsewhere/own/g.jpg"),
        ("h%20i.jpg", "content/blog/h%20i.jpg"),
    ],
)
def test_the_file_of_an_image(tmp_path: Path, address: str, where: str) -> None:
    file = tmp_path / where
    file.parent.mkdir(parents=True)
    file.touch()
    page = tmp_path / "content" / "blog" / "x.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    files = ImageFiles(tmp_path / "content", [tmp_path / "elsewhere"])
    place = image("", address).place
    assert files.file(page, place) == file


def test_an_image_without_a_file(tmp_path: Path) -> None:
    files = ImageFiles(tmp_path)
    for address in ("", "/", "data:image/png;base64,AA", "https://example.com/a.jpg", "a\0.jpg"):
        assert files.file(tmp_path / "x.md", image("", address).place) is None
    assert web_address(image("", "//example.com/a.jpg").place) == "https://example.com/a.jpg"
    assert web_address(image("", "a.jpg").place) is None
