"""What kind of file a file is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from capgen.file_types import (
    IMAGE_SUFFIXES,
    has_image_suffix,
    is_foreign_image,
    kind_of_suffix,
    sniff,
)


@pytest.mark.parametrize(
    ("head", "description"),
    [
        (b"BM\x36\x84\3\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "a BMP image"),
        (b"P6\n640 480\n255\n", "a PPM image"),
        (b"P3\n# made by hand\n2 2\n", "a PPM image"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"FOVb\0", "a camera raw file"),
        (b"gimp xcf v011\0", "a GIMP image"),
        (b"SQLite format 3\0", "a database"),
        (b"a.jpg" + bytes(252) + b"ustar\0", "a tar archive"),
        (b"\n <svg width='3'>", "an SVG drawing"),
        (b"<?xml version='1.0'?>\n<!-- <p> -->\n<svg:svg xmlns:svg='x'>", "an SVG drawing"),
        (b"<!DOCTYPE svg PUBLIC '-' [ <!ENTITY a 'b'> ]><svg>", "an SVG drawing"),
        (b"\xff\xfe" + "<svg>".encode("utf-16-le"), "an SVG drawing"),
    ],
)
def test_images_and_other_known_kinds(head: bytes, description: str) -> None:
    assert sniff(head).description == description
    assert sniff(head).known


@pytest.mark.parametrize(
    ("head", "description"),
    [
        (b"BMW at night\n", "text"),
        (b"P1 is the first image\n", "text"),
        (b'{"caption": "an <svg> tag"}', "text"),
        (b"<!doctype html><html><body><svg>", "a web page"),
        (b"<html><svg>", "a web page"),
        (
            "café, tag, d\xe9j\xe0 vu, \xe9t\xe9, No\xebl, ma\xefs".encode("cp1252"),
            "an unknown kind of file",
        ),
        (b"PAR1\x15\x04", "an unknown kind of file"),
    ],
)
def test_text_and_data_are_not_taken_for_images(head: bytes, description: str) -> None:
    assert sniff(head).description == description
    assert not sniff(head).known and not sniff(head).image


@pytest.mark.parametrize(
    "piece", [b"<!-- -->", b"<!--", b"<??>", b"<?", b" ", b"<!doctype svg []>", b"<!doctype svg ["]
)
def test_hostile_text_takes_no_time(piece: bytes) -> None:
    started = time.process_time()
    sniff((piece * 1024)[:1024])
    assert time.process_time() - started < 1


def test_suffixes() -> None:
    assert {kind_of_suffix(suffix.upper()) for suffix in IMAGE_SUFFIXES} == {"images"}
    assert kind_of_suffix(".DNG") == "camera raw files"
    assert kind_of_suffix(".json") == "structured files"
    assert [kind_of_suffix(suffix) for suffix in (".txt", ".caption", "", ".tags")] == [None] * 4


def test_names_of_images() -> None:
    taken = ("a.JPG", "b/c.jfif", "https://a.b/c.webp", "a.b.hif", "\udcff.png")
    assert [name for name in taken if not has_image_suffix(name)] == []
    others = (".jpg", "b/.jpg", "jpg", "a.jpg ", "a.jpg/b", "a.jxl", "", "a.jpgx")
    assert [name for name in others if has_image_suffix(name)] == []


def test_images_that_are_not_taken() -> None:
    foreign = ("a.JXL", "b.dng", "c.jpg", "d.txt", "e.mp4", "f", ".jxl")
    assert [n for n in foreign if is_foreign_image(Path(n))] == ["a.JXL", "b.dng"]
