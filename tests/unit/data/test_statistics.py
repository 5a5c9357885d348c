from __future__ import annotations

from pathlib import Path

import pytest
from PIL import PngImagePlugin

from capgen.data.dataset import load_dataset
from capgen.data.statistics import common_language, describe, language, words
from tests.minis import draw, make_images, write_flickr8k


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A dog runs on the beach .", "English"),
        ("Ein Hund läuft auf dem Strand und die Sonne scheint", "German"),
        ("Un homme et une femme dans la rue avec des chiens", "French"),
        ("Dos perros juegan en la nieve con una pelota y los niños", "Spanish"),
        ("Een man met een hond op het strand", "Dutch"),
        ("两只狗在雪地里玩耍", "Chinese"),
        ("雪の中で遊ぶ二匹の犬", "Japanese"),
        ("눈 속에서 노는 개 두 마리", "Korean"),
        ("Две собаки играют в снегу", "Cyrillic script"),
        ("dogs", "unknown"),
        ("1234 !?", "unknown"),
        ("", "unknown"),
    ],
)
def test_language(caption: str, expected: str):
    assert language(caption) == expected


def test_words():
    assert words("A dog's tri-colored BALL , it’s 3 .") == [
        *("a", "dog's", "tri-colored", "ball", "it’s", "3"),
    ]
    assert words("两只狗") == ["两", "只", "狗"]


def test_describe(tmp_path: Path):
    root = write_flickr8k(tmp_path / "set", make_images(5, captions=2))
    images = sorted((root / "Flicker8k_Dataset").iterdir())
    draw(1, (100, 30)).save(images[0], "PNG")
    images[1].write_bytes(b"no image")
    tokens = root / "Flickr8k_text" / "Flickr8k.token.txt"
    lines = [f"{p.name}#{n}\ta dog {'runs ' * n}\n" for p in images for n in range(2)]
    tokens.write_text("".join(lines))
    numbers = describe(load_dataset(root))
    assert (numbers.pictures, numbers.captions, numbers.unreadable) == (5, 10, 1)
    assert numbers.formats == {"JPEG": 3, "PNG": 1}
    assert numbers.width is not None and numbers.height is not None
    assert (numbers.width.least, numbers.width.greatest, numbers.width.mean) == (48, 100, 61)
    assert (numbers.height.least, numbers.height.median) == (30, 40)
    assert numbers.length_histogram == {2: 5, 3: 5}
    assert (numbers.vocabulary, numbers.frequent_vocabulary) == (3, 3)
    assert numbers.most_frequent == [("a", 10), ("dog", 10), ("runs", 5)]
    assert numbers.bytes == sum(path.stat().st_size for path in images)


def test_whatever_a_decoder_raises_is_an_unreadable_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = write_flickr8k(tmp_path / "set", make_images(5, captions=2))
    image = min((root / "Flicker8k_Dataset").iterdir())
    draw(1, (100, 30)).save(image, "PNG")

    def broken(self: object) -> None:
        raise OverflowError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "_open", broken)
    numbers = describe(load_dataset(root))
    assert (numbers.unreadable, numbers.formats) == (1, {"JPEG": 4})


@pytest.mark.parametrize(
    ("captions", "expected"),
    [
        (["Een man met een hond op het strand", "hond"], "nl"),
        (["A dog runs on the beach .", "dogs", "两只狗"], ""),
        (["A dog runs on the beach .", "a man"], "en"),
        (["两只狗在雪地里玩耍"], "zh"),
        (["犬が芝生の上を走っている", "二匹の犬"], "ja"),
        (["สุนัขวิ่งบนหญ้า"], "th"),
        (["एक कुत्ता दौड़ रहा है"], "und-Deva"),
        (["собака бежит по траве"], "und-Cyrl"),
        (["Một con chó chạy trên cỏ"], ""),
        (["dogs"], ""),
        ([], ""),
    ],
)
def test_the_language_of_most_captions(captions: list[str], expected: str):
    assert common_language(captions) == expected
