"""The page of a run."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from capgen.models.run_events import EVENTS_FILE
from capgen.pages.axes import Scale, short
from capgen.records import RunResumed, StageStarted, StepEvent, TestEvent
from capgen.training.tracking.page.panels import panels
from capgen.training.tracking.page.tracker import PageTracker
from tests.unit.training.tracking.page.recorded_runs import epoch_of, finished, started

HOSTILE = "<script>alert(1)</script>"


def told_run(images, *, epochs=3, end=True):
    captions = [["a cat", HOSTILE], ["a dog", "a tree"], ["a dog", "a tall tree"]]
    events = started(epochs=epochs, steps=10 * epochs, notice="memory ran out")
    for epoch in range(1, epochs + 1):
        score = 0.1 * epoch
        events += epoch_of(epoch, images=images[:2], captions=captions[epoch - 1], score=score)
    return events + (finished() if end else [])


@pytest.fixture(scope="module")
def written(tmp_path_factory, images):
    """The folder of a run with its page."""
    run = tmp_path_factory.mktemp("runs") / "told"
    run.mkdir()
    (run / "environment.json").write_text('{"versions": {"torch": "9.9"}}')
    tracker = PageTracker()
    tracker.start(run, {"preset": "mini", "learning_rate": 0.001, "data_dir": None})
    for event in told_run(images):
        tracker.event(event)
    tracker.finish()
    return run


@pytest.fixture(scope="module")
def page(written):
    return (written / "run.html").read_text(encoding="utf-8")


def plain(page):
    """Return the text of a page."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def test_the_page_says_what_happened(page):
    words = plain(page)
    assert "Training run told" in words
    assert "Finished after 3 epochs, 30 steps and 1:15 minutes" in words
    assert "METEOR 0.3000 on val" in words
    assert "best-eval on 10 images of the test split" in words
    assert "memory ran out" in words
    assert "learning rate 0.001" in words
    assert "versions: torch 9.9" in words
    assert "3 best-loss, best-eval 30 2.0000 1.0000" in words  # the last epoch's row


def test_captions_of_the_same_image_over_the_epochs(page):
    words = plain(page)
    assert "Epoch 1, CIDEr-D 0.100, METEOR 0.050 a cat" in words
    assert "Epochs 2 to 3, CIDEr-D 0.300, METEOR 0.150 a dog" in words
    assert page.count('<img src="data:image/jpeg') == 2


def test_the_page_stands_alone_and_nothing_in_it_runs(page):
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "default-src 'none'" in page


def test_every_chart_has_words_and_marks(page):
    charts = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    titles = [re.search("<h3>(.*?)</h3>", chart)[1] for chart in charts]
    assert titles == [
        "Loss per token",
        *(f"{name} (val)" for name in ("BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR")),
        "Learning rate",
        "Images per second",
    ]
    assert all('role="img" aria-label="' in chart for chart in charts)
    marked = [chart.count('<circle class="saved" cx="') - 1 for chart in charts]
    assert marked == [3, 3, 3, 3, 3, -1, -1]  # one of them is in the legend


def test_the_page_is_well_formed(page):
    open_tags, void = [], {"meta", "link", "img", "polyline", "line", "circle", "br"}

    class Checker(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag not in void:
                open_tags.append(tag)

        def handle_endtag(self, tag):
            if tag not in void:
                assert open_tags.pop() == tag

    Checker().feed(page)
    assert not open_tags
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_it_is_written_after_each_epoch_and_when_interrupted(tmp_path, images):
    events = told_run(images, epochs=2, end=False)
    tracker = PageTracker()
    tracker.start(tmp_path, {})
    for event in events:
        tracker.event(event)
        if isinstance(event, StepEvent) and event.step == 11:
            first = (tmp_path / "run.html").read_text()
    assert "Training when this was written: step 10 of 20." in plain(first)
    assert "a cat" in first
    tracker.finish()
    last = (tmp_path / "run.html").read_text()
    assert "Stopped at step 20 of 20" in plain(last)
    assert not list(tmp_path.glob(".*"))


def test_a_resumed_run_has_its_whole_history(tmp_path, images):
    import json

    events = told_run(images, epochs=2, end=False)
    lines = [json.dumps(event.to_dict()) for event in events]
    going_on = RunResumed(run=str(tmp_path), epoch=2, step=20, epochs=3, steps=30)
    (tmp_path / EVENTS_FILE).write_text("\n".join([*lines, json.dumps(going_on.to_dict())]))
    tracker = PageTracker()
    tracker.start(tmp_path, {})
    later = epoch_of(3, images=images[:2], captions=["a dog", "a tree"], score=0.3)
    for event in [going_on, *later]:
        tracker.event(event)
    tracker.finish()
    words = plain((tmp_path / "run.html").read_text())
    assert "Epoch 1, CIDEr-D 0.100" in words
    assert "step 30 of 30" in words


def test_a_run_without_captions_or_images_has_a_page_too(tmp_path):
    tracker = PageTracker()
    tracker.start(tmp_path, {})
    tracker.event(started()[0])
    tracker.finish()
    words = plain((tmp_path / "run.html").read_text())
    assert "Nothing has been measured yet" in words
    tracker.event(epoch_of(1, images=[tmp_path / "gone.jpg"], captions=[""], score=0.0)[-1])
    tracker.finish()
    words = plain((tmp_path / "run.html").read_text())
    assert "No image" in words
    assert "(no words)" in words


def test_scores_on_the_test_split_name_their_stage(tmp_path):
    tracker = PageTracker()
    tracker.start(tmp_path, {})
    tracker.event(started()[0])
    for number, stage in ((1, "words"), (2, "reward")):
        folder = str(tmp_path / stage)
        begun = StageStarted(run=str(tmp_path), path=folder, stage=stage, number=number, count=2)
        tested = TestEvent(name="best-eval", images=7, loss=1.5, metrics={"METEOR": number / 10})
        tracker.event(begun)
        tracker.event(tested)
    tracker.finish()
    words = plain((tmp_path / "run.html").read_text())
    assert "best-eval of stage 1 words on 7 images of the test split" in words
    assert "best-eval of stage 2 reward on 7 images of the test split" in words


def test_long_runs_have_small_pages():
    events = started(epochs=1, steps=10_000)
    events += epoch_of(1, images=[], captions=[], score=0.1, steps=10_000)
    loss = panels(events)[0].lines[0]
    assert len(loss.points) <= 300
    assert loss.points[-1][0] == 10_000
    means = [value for _, value in loss.points]
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)), (2.8, 3.9, (3, 3.25, 3.5, 3.75)), (0, 9, (0, 2, 4, 6, 8))],
)
def test_ticks_are_round(low, high, ticks):
    scale = Scale.of(low, high)
    assert scale.ticks == pytest.approx(ticks)
    assert scale.share(low) == 0
    assert scale.share(high) == 1


@pytest.mark.parametrize("value", [5.0, -2.0, 0.001, 1e9])
def test_a_flat_curve_lies_in_the_middle(value):
    assert Scale.of(value, value).share(value) == pytest.approx(0.5)


@pytest.mark.parametrize("value", [0.0, 1e-12])
def test_a_curve_of_nothing_lies_at_0(value):
    assert Scale.of(value, value).share(value) == pytest.approx(0, abs=1e-9)


def test_labels_are_short():
    numbers = (0, 1e-13, 0.12345, 2.83578, 23.7101, 1234.5, 12345, 2e6, 5e-5)
    shown = ["0", "0", "0.1235", "2.836", "23.71", "1,234", "12,345", "2.0e6", "5.0e-5"]
    assert [short(number) for number in numbers] == shown
