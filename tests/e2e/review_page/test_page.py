"""The page of `capgen review` in a real browser, used as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser import needs_browser
from tests.reviewing import (
    ReviewPage,
    ReviewServer,
    decisions,
    last,
    make_records,
    reviewing,
)

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = needs_browser

ODD = (
    "<b>bold</b> <img src=x onerror=\"document.title='run'\">",
    "כלב רץ על הדשא",
    "line one\nline two 🐕",
    "very long " * 500,
)


def test_150_pictures_by_keyboard_only(browser: Any, tmp_path: Path) -> None:
    texts = [f"a cat number {number}" for number in range(150)]
    records = make_records(tmp_path, texts)
    expected = []
    with reviewing(records) as server:
        context = browser.new_context()
        page = ReviewPage.in_context(context)
        page.open(server.address)
        for number, text in enumerate(texts):
            if number % 10 == 3:
                page.press("e")
                page.page.fill("#field", f"a tiger, picture {number}")
                page.press("Control+Enter")
                expected.append(("edited", f"a tiger, picture {number}"))
            elif number % 10 == 6:
                page.press("x")
                expected.append(("rejected", text))
            elif number % 10 == 8:
                # The first of the other captions is asked for, and must be there.
                page.wait_text("#others", f"{text} again")
                page.press("1")
                expected.append(("edited", f"{text} again"))
            else:
                page.press("a" if number % 2 else "Enter")
                expected.append(("accepted", text))
        page.wait_all_saved()
        page.wait_text("#counts", "105 accepted, 30 edited, 15 rejected, 0 left")
        assert page.faults == []
        assert "None left." in page.said[-1]
        context.close()
        found = [(line["verdict"], line["caption"]) for line in decisions(records)]
        assert found == expected
        assert [Path(line["path"]).stem for line in decisions(records)] == [
            f"{number:05d}" for number in range(150)
        ]


def test_undo_takes_back_and_shows_the_picture_again(
    window: ReviewPage, server: ReviewServer
) -> None:
    window.press("a", "r")
    window.wait_said("Saved: rejected")
    window.press("z")
    window.wait_said("Taken back")
    window.wait_text("#name", "00001.jpg")
    assert window.text("#state").startswith("unreviewed")
    window.press("z")
    window.wait_text("#counts", "30 left")
    window.press("z")
    window.wait_said("nothing to take back")
    assert [line["verdict"] for line in decisions(server.records)] == [
        *("accepted", "rejected", None, None)
    ]


def test_letters_are_letters_while_somebody_types(window: ReviewPage, server: ReviewServer) -> None:
    typed = "a zebra, 1 horse? /x"
    window.press("/")
    window.page.keyboard.type(typed)
    assert window.page.input_value("#search") == typed
    window.page.fill("#search", "")
    window.press("Escape")
    window.press("h")
    window.page.keyboard.type(typed)
    assert window.page.input_value("#find") == typed
    window.press("Escape")
    window.press("e")
    window.page.keyboard.type(typed)
    # At the end of the caption, which stays.
    assert window.page.input_value("#field") == f"a dog number 0{typed}"
    window.press("Escape")
    assert not decisions(server.records)
    window.press("Control+a", "Control+r", "Alt+x")
    window.wait_text("#name", "00000.jpg")
    assert not decisions(server.records)


def test_single_letters_can_be_switched_off(window: ReviewPage, server: ReviewServer) -> None:
    window.press("?")
    assert "take the last decision back" in window.text("#keys")
    window.press("Space", "Escape")  # the switch has the focus
    window.press("r")
    window.press("ArrowDown", "Enter")
    window.wait_said("Saved: accepted")
    assert last(server)[:2] == ("00001", "accepted")
    assert len(decisions(server.records)) == 1


def test_an_empty_caption_is_not_saved(window: ReviewPage, server: ReviewServer) -> None:
    window.press("e", "Control+a", "Backspace", "Control+Enter")
    window.wait_said("Write a caption")
    assert window.page.evaluate("document.activeElement.id") == "field"
    assert not decisions(server.records)


def test_what_was_written_as_proposed_is_accepted(window: ReviewPage, server: ReviewServer) -> None:
    window.press("e")
    window.page.fill("#field", "a dog number 0")
    window.press("Control+Enter")
    window.wait_said("Saved: accepted")
    assert last(server) == ("00000", "accepted", "a dog number 0")


def test_find_and_replace_over_many_with_one_left_out(
    window: ReviewPage, server: ReviewServer
) -> None:
    window.press("r", "h")
    window.page.fill("#find", "dog")
    window.page.fill("#with", "wolf")
    window.press("Enter")
    window.wait_text("#replace-count", "29 of 29 changes")
    assert window.text("#replace-list li:first-child del") == "dog"
    window.page.focus("#replace-list li:nth-child(2) input")
    window.press("Space")
    window.wait_text("#replace-count", "28 of 29 changes")
    window.page.focus("#replace-apply")
    window.press("Enter")
    window.wait_said("Saved: 28 captions")
    window.wait_text("#counts", "28 edited, 1 rejected, 1 left")
    window.wait_text("#option-1 .row-caption", "a wolf number 1")
    window.wait_text("#option-2 .row-caption", "a dog number 2")
    window.press("z")
    window.wait_text("#counts", "0 edited, 1 rejected, 29 left")


def names(window: ReviewPage) -> list[str]:
    """Return the numbers of the pictures that the list shows first."""
    found = window.page.eval_on_selector_all(
        "[role=option] .row-name", "names => names.map((name) => name.textContent.match(/\\d+/)[0])"
    )
    return [name.lstrip("0") or "0" for name in found[:6]]


def test_orders_filters_and_search(window: ReviewPage, server: ReviewServer) -> None:
    def choose(name: str, value: str, first: list[str] | None = None) -> None:
        window.page.select_option(f"#{name}", value)
        window.wait_text("#said", "Ordered") if value in ("random", "gain") else None
        if first is not None:
            assert names(window)[: len(first)] == first

    choose("order", "confidence", ["0", "29", "15", "1"])  # 0, 3, 5, 7 %
    choose("order", "name", ["0", "1", "2"])
    choose("order", "random")
    random = window.page.evaluate("fetch('/api/items').then((a) => a.json()).then((a) => a.random)")
    assert names(window) == [str(number) for number in random[:6]]
    choose("order", "file")
    window.press("Escape", "a", "x")
    window.page.fill("#unsure-below", "10")
    choose("filter", "unsure", ["0", "1", "15", "29"])
    window.press("Escape", "Home", "u")
    window.wait_text("#name", "00015.jpg")
    choose("filter", "accepted", ["0"])
    choose("filter", "rejected", ["1"])
    choose("filter", "unreviewed", ["2", "3"])
    # A decided picture stays in the list until it is made again.
    window.press("Escape", "Home", "a")
    window.wait_text("#name", "00003.jpg")
    assert names(window)[:2] == ["2", "3"]
    window.press("f")
    assert names(window)[:2] == ["3", "4"]
    choose("filter", "repeated", [])
    window.wait_text("#shown", "0 pictures")
    assert window.page.is_visible("#nothing")
    choose("filter", "all")
    window.press("Escape", "/")
    window.page.keyboard.type("NUMBER 2")
    window.press("Enter")
    window.wait_text("#shown", "11 pictures")
    assert window.page.evaluate("document.activeElement.id") == "list"


def test_names_and_captions_of_any_kind_are_only_text(browser: Any, tmp_path: Path) -> None:
    records = make_records(tmp_path, ODD)
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    odd_name = "photos/<b>x “שלום” 🐈.jpg"
    (tmp_path / lines[0]["path"]).rename(tmp_path / odd_name)
    lines[0]["path"] = odd_name
    records.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with reviewing(records) as server:
        context = browser.new_context(viewport={"width": 1200, "height": 800})
        page = ReviewPage.in_context(context)
        page.open(server.address)
        for text in ODD:
            page.page.wait_for_function(
                "(text) => document.getElementById('caption').textContent === text", arg=text
            )
            page.press("e")
            assert page.page.input_value("#field") == text
            page.press("Escape", "a")
        page.wait_all_saved()
        assert page.page.title() != "run"
        assert page.page.locator("main img[src=x], .row b").count() == 0
        assert page.faults == []
        assert [line["caption"] for line in decisions(records)] == list(ODD)
        context.close()


def test_what_the_model_is_asked(window: ReviewPage, server: ReviewServer) -> None:
    """Other captions, where it looked, and orders that it makes."""
    window.press("m")
    window.wait_said("choose one with its digit")
    made = window.text("#others li:nth-child(2) > button > span:nth-child(2)")
    assert made not in ("a dog number 0 once more", "")
    window.press("2")
    window.wait_said("Saved: edited")
    assert last(server) == ("00000", "edited", made)
    window.press("l")
    window.page.wait_for_function(
        "() => document.querySelector('#looked-content img')?.naturalWidth > 100"
    )
    window.press("Escape", "s")
    window.wait_said("Ordered: like this picture")
    assert window.text("#order option:checked") == "like this picture"
    assert names(window)[0] == "1"  # to which the others were compared
    window.page.select_option("#order", "gain")
    window.wait_said("Ordered: most gained")
    window.press("Escape", "g")
    window.wait_text("#agreement-content", "1 reviewed: 0 accepted, 1 edited, 0 rejected")
    assert window.page.locator("#agreement svg rect").count() >= 1


def test_pure_parts_of_the_page(window: ReviewPage, server: ReviewServer) -> None:
    """What changed in a caption, and the filters that the thirty dogs do not show."""
    assert window.page.evaluate(
        """async () => (await import("/static/difference.js")).difference(
             "a dog and a dog", "a wolf and a wolf pup")"""
    ) == [
        *(["same", "a "], ["del", "dog"], ["ins", "wolf"], ["same", " and a "]),
        *(["del", "dog"], ["ins", "wolf pup"]),
    ]
    chosen = window.page.evaluate(
        """async () => {
             const { FILTERS, select } = await import("/static/view.js");
             const row = (id, caption, more) => ({
               id, caption, path: `${id}.jpg`, verdict: null, confidence: 0.9,
               person: false, ...more });
             const rows = [
               row(0, "A dog "), row(1, "a dog"), row(2, "a man", { person: true }),
               row(3, null, { confidence: null }), row(10, "a cat", { verdict: "edited" })];
             const options = {
               order: "file", contains: "", unsureBelow: 0.5, ranked: [],
               hasDraft: (id) => id === 1 };
             const of = (filter, more) => select(rows, { ...options, filter, ...more });
             return {
               ...Object.fromEntries(Object.keys(FILTERS).map((name) => [name, of(name)])),
               ranked: of("all", { order: "gain", ranked: [10, 2] }),
               name: of("all", { order: "name", contains: "JPG" }),
               confidence: of("all", { order: "confidence" }),
             };
           }"""
    )
    assert chosen == {
        "all": [0, 1, 2, 3, 10],
        "unreviewed": [0, 1, 2, 3],
        "unsure": [3],
        "repeated": [0, 1],
        "nobody": [0, 1, 3, 10],
        "accepted": [],
        "edited": [10],
        "rejected": [],
        "drafts": [1],
        "failed": [3],
        "ranked": [10, 2, 0, 1, 3],
        "name": [0, 1, 2, 3, 10],
        "confidence": [3, 0, 1, 2, 10],
    }
