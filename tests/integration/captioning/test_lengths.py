"""Captions of so many words or characters, in both runtimes and in models of others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from capgen import Captioner
from capgen.captioning.caption_length import words_in
from capgen.cli.main import main
from capgen.records import Caption
from tests import tiny_captioners, tiny_prompted
from tests.fakes import draw_image

LIMITS: dict[str, dict[str, Any]] = {
    "words": {"max_words": 4},
    "characters": {"max_characters": 24},
    "both": {"max_words": 6, "max_characters": 28},
}
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"beams": 1},
    "beams": {"beams": 3, "num_captions": 2},
    "diverse": {"diverse": 2},
    "words": {"include_words": "dog|man|ball", "beams": 2},
}
OPEN = re.compile(r"\b(a|an|the|of|in|on|with|is|and)$")


def said(caption: Caption) -> list[str]:
    return [caption.text, *(other.text for other in caption.alternatives)]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("way", WAYS)
def test_both_runtimes_end_at_the_same_place(
    way: str, limit: str, bundled: Captioner, bundled_torch: Captioner, images: list[Path]
) -> None:
    options = {**WAYS[way], **LIMITS[limit]}
    ours = bundled.caption(images[:3], **options)
    theirs = bundled_torch.caption(images[:3], **options)
    assert [said(one) for one in ours] == [said(one) for one in theirs]
    for text in (text for one in ours for text in said(one)):
        assert words_in(text) <= LIMITS[limit].get("max_words", 99)
        assert len(text) <= LIMITS[limit].get("max_characters", 99)
        assert text and not OPEN.search(text)
    for one in ours:
        assert not one.notes and not one.tokens[-1].text  # an end token


@pytest.mark.parametrize("way", WAYS)
def test_captions_that_fit_stay_as_they_are(
    way: str, bundled: Captioner, images: list[Path]
) -> None:
    plain = bundled.caption(images[:2], **WAYS[way])
    limited = bundled.caption(images[:2], **WAYS[way], max_words=99, max_characters=999)
    assert [(one.text, one.score) for one in limited] == [(one.text, one.score) for one in plain]


def test_a_batch_says_what_single_calls_do(bundled: Captioner, images: list[Path]) -> None:
    together = bundled.caption(images[:4], max_words=5)
    alone = [bundled.caption(image, max_words=5) for image in images[:4]]
    assert [one.text for one in together] == [one.text for one in alone]


def test_a_style_is_a_number_of_words(bundled: Captioner, images: list[Path]) -> None:
    short = bundled.caption(images[0], style="short")
    assert short.text == bundled.caption(images[0], max_words=8).text
    assert short.settings["max_words"] == 8 and "style" not in short.settings
    assert bundled.caption(images[0], style="short", max_words=3).settings["max_words"] == 3


OTHERS = {"blip": tiny_captioners.blip, "git": tiny_captioners.git, "llava": tiny_prompted.llava}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize(
    "way",
    [
        {"beams": 1},
        {"beams": 3, "num_captions": 2},
        {"temperature": 1.0, "seed": 0, "num_captions": 2},
    ],
    ids=str,
)
def test_other_models(kind: str, way: dict[str, Any], tmp_path: Path) -> None:
    captioner = Captioner.from_pretrained(OTHERS[kind](tmp_path / kind))
    image = draw_image(0)
    plain = captioner.caption(image, **way, max_length=16, retry=False)
    longest = max(15, *map(len, said(plain)))
    limit = max(15, longest // 2)
    limited = captioner.caption(image, **way, max_length=16, retry=False, max_characters=limit)
    kept = all(len(text) <= limit for text in said(limited))
    assert kept != (f"longer than max_characters {limit}" in limited.notes)
    wide = captioner.caption(image, **way, max_length=16, retry=False, max_characters=longest)
    assert said(wide) == said(plain)


def test_what_is_cut_off_says_so(
    bundled: Captioner, bundled_torch: Captioner, images: list[Path], capsys: Any
) -> None:
    for captioner in (bundled, bundled_torch):
        for way in ({"beams": 1}, {"beams": 3}, {"temperature": 1.0, "seed": 1}):
            caption = captioner.caption(images[0], max_length=4, **way)
            assert caption.notes == ("cut off at max_length 4",), way
            assert not captioner.caption(images[0], **way).notes
    assert main(["caption", str(images[0]), "--max-length", "4"]) == 0
    assert "cut off at max_length 4" in capsys.readouterr().err


def test_what_cannot_be_that_short_says_so(bundled: Captioner, images: list[Path]) -> None:
    caption = bundled.caption(images[0], max_words=3, min_length=12)
    assert words_in(caption.text) > 3 and caption.notes == ("longer than max_words 3",)
