"""The HTML report: complete, inert, accessible, bounded."""

from __future__ import annotations

import dataclasses
import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capgen.captioning.attention import CaptionAttention
from capgen.config import EvalConfig
from capgen.errors import ModelError, ProtectedFileError
from capgen.evaluation.compare import compare
from capgen.evaluation.evaluate import evaluate
from capgen.evaluation.report import write_report
from capgen.evaluation.result import Evaluation
from capgen.pages.histogram import histogram
from capgen.pages.images import InlineImage
from capgen.pages.page import render
from capgen.records import Caption, Example
from tests.minis import draw
from tests.unit.evaluation.sets import GOOD, POOR, Scripted, make_set

CONFIG = EvalConfig(resamples=100, examples=2)
HOSTILE = '<script>document.title="taken"</script><img src=x onerror=alert(1)>" \' onload="x'


class Page(HTMLParser):
    """Collects the parts of a page that the tests check."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def evaluated(folder: Path, captions: dict[str, str | None], config: EvalConfig = CONFIG):
    return evaluate(Scripted(captions), make_set(folder), config=config)


def written(path: Path, evaluation: Evaluation, **more: object) -> tuple[str, Page]:
    write_report(path, evaluation, **more)  # type: ignore[arg-type]
    markup = path.read_text(encoding="utf-8")
    return markup, Page(markup)


def test_the_page_asks_for_nothing_and_runs_nothing(tmp_path: Path) -> None:
    _, page = written(tmp_path / "r.html", evaluated(tmp_path, dict(GOOD)))
    names = {name for name, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "form", "base"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    policies = [item.get("content") for item in page.all("meta") if "http-equiv" in item]
    assert policies[0] and policies[0].startswith("default-src 'none'")


@pytest.mark.parametrize("content", [b"image,caption\n", b"\xff\xd8\xff\xe0 an image"])
def test_a_report_replaces_web_pages_only(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.html"
    evaluation = evaluated(tmp_path, dict(GOOD))
    for _ in range(2):
        written(path, evaluation)
    path.write_bytes(content)
    with pytest.raises(ProtectedFileError, match=r"r\.html is"):
        write_report(path, evaluation)
    assert path.read_bytes() == content


def test_hostile_captions_and_names_stay_text(tmp_path: Path) -> None:
    captions: dict[str, str | None] = dict.fromkeys(POOR, HOSTILE)
    pool = tuple(
        Example(
            image_id=example.image_id,
            image=tmp_path / f'"{example.image_id} onerror="x',
            references=(HOSTILE, "a"),
            split="test",
        )
        for example in make_set().pool
    )
    data = make_set(name=HOSTILE, pool=pool)
    evaluation = evaluate(Scripted(captions, HOSTILE), data, config=CONFIG)
    other = evaluate(Scripted(dict(POOR), HOSTILE), data, config=CONFIG)
    comparison = compare(evaluation, other)
    _, page = written(tmp_path / "r.html", evaluation, comparison=comparison)
    assert not page.all("script") and not page.all("img")
    assert all(not name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert "".join(page.words).count("<script>") > 10


def test_headings_labels_and_alternatives(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path, {**POOR, "boat.jpg": None})
    comparison = compare(evaluation, evaluated(tmp_path, dict(GOOD)))
    markup, page = written(tmp_path / "r.html", comparison.first, comparison=comparison)
    levels = [int(name[1]) for name, _ in page.tags if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.all("html")[0]["lang"] == "en"
    assert all(image.get("alt") for image in page.all("img"))
    charts = [one for one in page.all("svg") if one.get("aria-hidden") != "true"]
    assert charts and all(chart.get("aria-label") for chart in charts)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {link["href"] for link in page.all("a")}
    assert anchors <= {f"#{one}" for one in ids}
    for word in ("Where they differ most", "Scores are over 5 of 6 images", "No heat maps"):
        assert word in markup


def test_contrast_of_text() -> None:
    def luminance(colour: str) -> float:
        digits = colour * 2 if len(colour) == 3 else colour
        parts = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    themes = re.findall(r":root \{([^}]*)\}", render("base.html", title=""))
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): #(\w+)", theme))
        for back in ("paper", "panel"):
            for ink in ("ink", "soft", "accent", "good", "bad"):
                low, high = sorted((luminance(colours[back]), luminance(colours[ink])))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (back, ink)


def test_missing_images_leave_a_note(tmp_path: Path) -> None:
    evaluation = evaluate(Scripted(dict(GOOD)), make_set(), config=CONFIG)
    markup, page = written(tmp_path / "r.html", evaluation)
    assert "No image: nowhere/" in markup
    assert not page.all("img")


def test_thumbnails_are_bounded(tmp_path: Path) -> None:
    draw(1, (3000, 1000)).save(tmp_path / "big.png")
    image = InlineImage.read(tmp_path / "big.png")
    assert (image.width, image.height) == (360, 120)
    assert len(image.uri) < 40_000


def test_words_that_systems_say_and_miss(tmp_path: Path) -> None:
    first = evaluated(tmp_path, GOOD)
    second = evaluated(tmp_path, POOR)
    alone, _ = written(tmp_path / "alone.html", first)
    assert "What the captions say and miss" in alone and "Recall by class of word" in alone
    both, _ = written(tmp_path / "both.html", first, comparison=compare(first, second))
    assert both.count("Recall of") > alone.count("Recall of") > 0
    config = dataclasses.replace(CONFIG, language="de", metrics="bleu")
    german, _ = written(tmp_path / "german.html", evaluated(tmp_path, GOOD, config))
    assert "What the captions say and miss" not in german


@pytest.mark.parametrize("examples", [0, 1, 50])
def test_the_number_of_examples_is_bounded(tmp_path: Path, examples: int) -> None:
    config = EvalConfig(resamples=100, examples=examples)
    _, page = written(tmp_path / "r.html", evaluated(tmp_path, dict(POOR), config))
    assert len(page.all("img")) == 3 * min(examples, len(POOR))


def with_records(evaluation: Evaluation, *names: str) -> Evaluation:
    """Return the evaluation as if these images had been captioned by a model."""
    record = Caption(text="a", log_probability=0.0, score=0.0)
    return Evaluation(**{**vars(evaluation), "records": dict.fromkeys(names, record)})


def test_a_heat_map_for_each_word(tmp_path: Path) -> None:
    maps = np.full((2, 3, 3), 0.1, np.float32)
    maps[0, 2, 0] = maps[1, 0, 1] = 0.9
    attention = CaptionAttention(words=("dog", "<b>"), maps=maps, image=draw(1, (400, 200)))
    evaluation = evaluated(tmp_path, dict(GOOD), EvalConfig(resamples=100, examples=6))
    seen = with_records(evaluation, "dog.jpg")
    markup, page = written(tmp_path / "r.html", seen, attend=lambda *_: attention)
    alts = [image["alt"] or "" for image in page.all("img")]
    found = [alt for alt in alts if alt.startswith("For ")]
    assert len(found) == 3 * 2  # the image is among the best, the worst, and those drawn
    assert found[0] == "For 'dog' the model looked most at the bottom left"
    assert found[1] == "For '<b>' the model looked most at the top centre"
    shared = [item["style"] or "" for item in page.all("ol") if "style" in item]
    assert len(shared) == 3
    assert all(style.startswith("--seen: url(data:image/jpeg;base64,") for style in shared)
    assert all(style.endswith("--shape: 128 / 64") for style in shared)
    assert not page.all("b")
    assert "aspect-ratio: var(--shape)" in markup


def test_heat_maps_are_asked_for_where_there_is_a_record(tmp_path: Path) -> None:
    asked = []

    def attend(example: Example, caption: Caption) -> CaptionAttention:
        asked.append(example.image_id)
        image = Image.new("RGB", (8, 8))
        return CaptionAttention(words=("a",), maps=np.ones((1, 1, 1), np.float32), image=image)

    evaluation = evaluated(tmp_path, dict(GOOD), EvalConfig(resamples=100, examples=6))
    seen = with_records(evaluation, "dog.jpg")
    markup, _ = written(tmp_path / "r.html", seen, attend=attend)
    assert asked == ["dog.jpg"] * 3
    assert markup.count("Where the model looked") == 3
    assert markup.count("url(data:image/jpeg") == 3


def test_why_there_are_no_heat_maps_is_said(tmp_path: Path) -> None:
    def attend(example: Example, caption: Caption) -> CaptionAttention:
        raise ModelError("its features are <not> a grid")

    evaluation = evaluated(tmp_path, dict(GOOD), EvalConfig(resamples=100, examples=6))
    seen = with_records(evaluation, "dog.jpg")
    markup, _ = written(tmp_path / "r.html", seen, attend=attend)
    assert markup.count("No heat maps: its features are &lt;not&gt; a grid") == 3


def test_histograms_of_odd_numbers() -> None:
    assert len(histogram("x", np.array([0.25])).bars) == 1
    assert len(histogram("x", np.array([3.0, 3.0])).bars) == 1
    assert len(histogram("x", np.array([1.0, 2.0, 5.0])).bars) == 3
    assert len(histogram("x", np.array([0.5, np.nan, 0.7])).bars) == 2
    both = histogram("x", np.array([0.0, 0.5]), np.array([0.9]), names=("first", "second"))
    assert len(both.curves) == 1
    assert "first median 0.25" in both.summary


def test_charts_are_drawn_and_said(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path, dict(POOR))
    comparison = compare(evaluation, evaluated(tmp_path, dict(GOOD)))
    markup, page = written(tmp_path / "r.html", comparison.first, comparison=comparison)
    said = (chart.get("aria-label") or "" for chart in page.all("svg"))
    words, *charts = (label for label in said if label)  # keys have no label
    assert words.startswith("Recall by class of word: ")
    assert charts and all(label.startswith("Distribution of ") for label in charts)
    assert len(page.all("polyline")) > len(charts)
    assert len(page.all("rect")) >= len(charts)
    for title in ("CIDEr-D", "METEOR", "Words per caption"):
        assert f"<h3>{title}</h3>" in markup
