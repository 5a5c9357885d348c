"""What is decided in a gallery stays in the browser, and gets out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capgen.cli.main import main
from capgen.images.thumbnails import thumbnail
from capgen.output.gallery import open_gallery
from capgen.records import Caption, CaptionFailure, Review
from capgen.reviews.reviewed_records import read_records
from tests.browser import BROWSER, needs_browser
from tests.minis import draw

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [needs_browser, pytest.mark.usefixtures("handlers_put_back")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


def gallery(path: Path, *, first: str = "caption 0") -> Path:
    with open_gallery(path) as write:
        for number in range(4):
            text = first if number == 0 else f"caption {number}"
            record = Caption(
                path=f"{number}.jpg",
                text=text,
                sha256=f"{number:064}",
                score=-number,
                log_probability=-1,
            )
            write(record, thumbnail(draw(number)))
        write(CaptionFailure(path="bad.jpg", code="missing", message="gone"), None)
    return path


def decide(page: Any) -> None:
    """Edit one caption, accept one by key, and reject one by its button."""
    page.locator("#c1").fill('my "own" <words>')
    card = page.locator(".card").nth(1)
    card.focus()
    page.keyboard.press("a")
    page.locator(".card").nth(2).get_by_role("button", name="Reject").click()


def export(page: Any, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name="Export JSONL").click()
    assert download.value.suggested_filename == "captions-edited.jsonl"
    path = folder / "captions-edited.jsonl"
    download.value.save_as(path)
    return path


def texts(page: Any) -> list[str]:
    return [page.locator(f"#c{number}").input_value() for number in range(1, 5)]


def test_decisions_survive_a_reload_and_are_exported(browser: Any, tmp_path: Path) -> None:
    path = gallery(tmp_path / "gallery.html")
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    assert page.locator("#kept").inner_text() == ""
    decide(page)
    kept = "3 decided here, kept in this browser; 3 not exported yet"
    assert page.locator("#kept").inner_text() == kept
    page.close()  # without a word: as when the browser is killed
    page = context.new_page()
    page.goto(path.as_uri())
    assert texts(page) == ['my "own" <words>', "caption 1", "caption 2", "caption 3"]
    assert page.locator("#kept").inner_text() == kept
    pressed = page.locator('button[aria-pressed="true"]')
    assert [each.inner_text() for each in pressed.all()] == ["Accept", "Reject"]
    page.locator("#kind").select_option("unreviewed")
    assert page.locator(".card:visible").count() == 1
    exported = export(page, tmp_path)
    assert "0 not exported yet" in page.locator("#kept").inner_text()
    page.reload()
    assert "0 not exported yet" in page.locator("#kept").inner_text()
    reviews = [record.review for record in read_records(exported) if isinstance(record, Caption)]
    assert [review and (review.verdict, review.proposed, review.caption) for review in reviews] == [
        ("edited", "caption 0", 'my "own" <words>'),
        ("accepted", "caption 1", "caption 1"),
        ("rejected", "caption 2", "caption 2"),
        None,
    ]
    assert all(review.at for review in reviews if review is not None)
    lines = [json.loads(line) for line in exported.read_text(encoding="utf-8").splitlines()]
    assert lines[0]["original"] == "caption 0" and "original" not in lines[1]
    # Taken back, nothing is left of it.
    page.locator("#c1").fill("caption 0")
    page.locator(".card").nth(1).get_by_role("button", name="Accept").click()
    assert "1 decided here" in page.locator("#kept").inner_text()
    assert not errors


def test_another_gallery_of_the_same_name_has_its_own_captions(
    browser: Any, tmp_path: Path
) -> None:
    path = gallery(tmp_path / "gallery.html")
    page = browser.new_context().new_page()
    page.goto(path.as_uri())
    decide(page)
    gallery(path, first="a new caption")
    page.reload()
    assert texts(page)[0] == "a new caption"
    assert "2 decided here" in page.locator("#kept").inner_text()


def test_it_warns_before_decisions_that_were_not_exported_are_closed(
    browser: Any, tmp_path: Path
) -> None:
    page = browser.new_context().new_page()
    page.goto(gallery(tmp_path / "gallery.html").as_uri())
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    page.reload()
    assert asked == []
    decide(page)
    page.reload()
    assert asked == ["beforeunload"]
    export(page, tmp_path)
    page.reload()
    assert asked == ["beforeunload"]


def test_a_browser_that_keeps_nothing_says_so(browser: Any, tmp_path: Path) -> None:
    page = browser.new_context().new_page()
    page.add_init_script(
        "Storage.prototype.setItem = Storage.prototype.getItem = () => { throw new Error('off'); };"
    )
    page.goto(gallery(tmp_path / "gallery.html").as_uri())
    decide(page)
    assert "lost when this page is closed: export them" in page.locator("#kept").inner_text()
    assert export(page, tmp_path).read_text(encoding="utf-8").count("\n") == 5


def test_two_windows_show_the_same(browser: Any, tmp_path: Path) -> None:
    path = gallery(tmp_path / "gallery.html")
    context = browser.new_context()
    one, two = context.new_page(), context.new_page()
    for page in (one, two):
        page.goto(path.as_uri())
    decide(one)
    two.wait_for_function("document.getElementById('kept').textContent.startsWith('3 ')")
    assert texts(two) == texts(one)


def test_a_reviewed_gallery_shows_decisions_and_corrects_them(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "reviewed.html"
    with open_gallery(path) as write:
        for number, verdict in enumerate(("edited", "accepted")):
            review = Review(verdict=verdict, proposed="a dog", caption=f"text {number}")
            record = Caption(
                path=f"{number}.jpg",
                text=f"text {number}",
                score=0,
                log_probability=0,
                review=review,
            )
            write(record, thumbnail(draw(number)))
    page = browser.new_context().new_page()
    page.goto(path.as_uri())
    assert page.locator('button[aria-pressed="true"]').count() == 1
    page.locator("#c1").fill("better")
    page.locator(".card").nth(1).get_by_role("button", name="Reject").click()
    first, second = read_records(export(page, tmp_path))
    assert isinstance(first, Caption) and isinstance(second, Caption)
    assert first.review is not None and second.review is not None
    found = (first.review.verdict, first.review.proposed, first.text)
    assert found == ("edited", "a dog", "better")
    assert second.review.verdict == "rejected"


def test_the_export_goes_into_images_and_is_scored(
    browser: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        draw(number).save(f"{number}.jpg")
    assert main(["caption", *(f"{n}.jpg" for n in range(4)), "-o", "gallery.html"]) == 0
    page = browser.new_context().new_page()
    page.goto((tmp_path / "gallery.html").as_uri())
    decide(page)
    export(page, tmp_path)
    assert main(["apply", "captions-edited.jsonl", "--sidecar", ".txt"]) == 0
    printed = capsys.readouterr().err
    assert (
        "3 captions (1 accepted, 1 edited, 1 unreviewed) written; left out: 1 rejected" in printed
    )
    assert Path("0.txt").read_text(encoding="utf-8") == 'my "own" <words>\n'
    references = "".join(f"{n}.jpg\ta drawing of shapes\ttest\n" for n in range(4))
    Path("references.tsv").write_text(f"image\tcaption\tsplit\n{references}")
    code = main(["eval", "--data-dir", "references.tsv", "--predictions", "captions-edited.jsonl"])
    assert code == 0, capsys.readouterr().err
