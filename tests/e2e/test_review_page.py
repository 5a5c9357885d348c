"""The page of `capgen review` in a real browser, used as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import needs_browser
from tests.reviewing import (
    ReviewPage,
    ReviewServer,
    chromium,
    decisions,
    make_records,
    reviewing,
    reviewing_here,
)

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = needs_browser

ODD = (
    "<b>bold</b> <img src=x onerror=\"document.title='run'\">",
    "כלב רץ על הדשא",
    "line one\nline two 🐕",
    "very long " * 500,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReviewServer]:
    """A server about thirty dogs, in this process if the test does not end it."""
    texts = [f"a dog number {number}" for number in range(30)]
    serve = getattr(request, "param", reviewing_here)
    with serve(make_records(tmp_path, texts)) as running:
        yield running


@pytest.fixture
def window(browser: Any, server: ReviewServer) -> Iterator[ReviewPage]:
    """The page about thirty dogs; it must not complain."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = ReviewPage.in_context(context)
    page.open(server.address)
    yield page
    faults = page.faults
    context.close()
    assert not faults


def last(server: ReviewServer) -> tuple[str, str, str]:
    """Return what was decided last: image, verdict, caption."""
    line = decisions(server.records)[-1]
    return Path(line["path"]).stem, line["verdict"], line.get("caption", "")


def test_three_hundred_pictures_by_keyboard_only(browser: Any, tmp_path: Path) -> None:
    texts = [f"a cat number {number}" for number in range(300)]
    records = make_records(tmp_path, texts)
    expected = []
    with reviewing(records) as server:
        context = browser.new_context()
        page = ReviewPage.in_context(context)
        page.open(server.address)
        for number, text in enumerate(texts):
            if number % 10 == 3:
                page.press("e")
                page.page.keyboard.insert_text(f"a tiger, picture {number}")
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
        page.wait_text("#counts", "210 accepted, 60 edited, 30 rejected, 0 left")
        assert page.faults == []
        assert "None left." in page.said[-1]
        context.close()
        found = [(line["verdict"], line["caption"]) for line in decisions(records)]
        assert found == expected
        assert [Path(line["path"]).stem for line in decisions(records)] == [
            f"{number:05d}" for number in range(300)
        ]


def test_a_decision_is_said_to_be_saved_once_it_is_in_the_file(
    window: ReviewPage, server: ReviewServer
) -> None:
    window.page.route("**/api/decide", lambda route: None)  # no answer
    window.press("a")
    window.wait_text("#option-0 .row-state", "saving…")
    assert not window.said
    window.page.unroute("**/api/decide")


def test_what_is_edited_while_the_own_decision_is_under_way_is_no_conflict(
    window: ReviewPage, server: ReviewServer
) -> None:
    held: list[Any] = []
    window.page.route("**/api/decide", lambda route: held.append(route), times=1)
    window.press("a", "k", "e")
    window.wait_text("#option-0 .row-state", "saving…")
    held[0].continue_()
    window.wait_said("Saved: accepted")
    window.page.keyboard.insert_text("better words")
    window.press("Control+Enter")
    window.wait_said("Saved: edited")
    assert last(server) == ("00000", "edited", "better words")


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
    assert window.page.input_value("#field") == typed
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


def test_drafts_survive_leaving_reloading_and_closing(
    browser: Any, window: ReviewPage, server: ReviewServer
) -> None:
    window.press("e")
    window.page.keyboard.insert_text("half a sen")
    window.wait_text("#draft-state", "kept")
    window.press("Escape")
    assert "draft" in window.text("#state")
    window.press("j", "j")
    window.page.reload()
    window.page.wait_for_selector("body[data-ready]")
    assert "00002.jpg" in window.text("#name")
    window.press("Home", "e")
    assert window.page.input_value("#field") == "half a sen"
    # Another window takes over what a closed one left.
    second = ReviewPage.in_context(window.page.context)
    second.open(server.address)
    assert "draft" not in second.text("#state")
    window.page.close()
    second.page.reload()
    second.page.wait_for_selector("body[data-ready]")
    second.press("e")
    assert second.page.input_value("#field") == "half a sen"
    second.page.keyboard.insert_text("a whole sentence")
    second.press("Control+Enter")
    second.wait_said("Saved: edited")
    assert last(server) == ("00000", "edited", "a whole sentence")
    second.press("Home")
    second.wait_text("#state", "edited")
    assert "draft" not in second.text("#state")
    assert not second.faults


def test_an_empty_caption_is_not_saved(window: ReviewPage, server: ReviewServer) -> None:
    window.press("e", "Backspace", "Control+Enter")
    window.wait_said("Write a caption")
    assert window.page.evaluate("document.activeElement.id") == "field"
    assert not decisions(server.records)


def test_what_was_written_as_proposed_is_accepted(window: ReviewPage, server: ReviewServer) -> None:
    window.press("e")
    window.page.keyboard.insert_text("a dog number 0")
    window.press("Control+Enter")
    window.wait_said("Saved: accepted")
    assert last(server) == ("00000", "accepted", "a dog number 0")


@pytest.mark.parametrize("server", [reviewing], indirect=True)
def test_without_a_server_decisions_wait_in_the_browser(
    window: ReviewPage, server: ReviewServer
) -> None:
    server.kill()
    window.press("a", "e")
    window.page.keyboard.insert_text("typed without a server")
    window.press("Control+Enter")
    window.wait_text("#fault-text", "2 decisions not saved")
    window.wait_text("#option-1 .row-state", "not saved")
    assert not window.said
    with pytest.raises(playwright.Error):
        window.page.reload()
    server.start()
    window.open(server.address)
    window.wait_all_saved()
    window.wait_text("#counts", "1 accepted, 1 edited, 0 rejected, 28 left")
    assert [line["caption"] for line in decisions(server.records)] == [
        *("a dog number 0", "typed without a server")
    ]
    window.faults.clear()  # of the network


@pytest.mark.parametrize("server", [reviewing], indirect=True)
def test_an_open_page_goes_on_with_the_next_server(
    window: ReviewPage, server: ReviewServer
) -> None:
    """The token of the new server comes with the address that is opened beside the page."""
    server.kill()
    window.press("x")
    window.wait_text("#fault-text", "1 decision not saved")
    server.start()
    other = ReviewPage.in_context(window.page.context)
    other.open(server.address)
    window.press("t")
    window.wait_said("Saved: rejected")
    assert window.page.is_hidden("#fault")
    other.wait_text("#counts", "1 rejected")
    window.faults.clear()


def test_a_lost_answer_doubles_nothing(window: ReviewPage, server: ReviewServer) -> None:
    def lose(route: Any) -> None:
        route.fetch()  # the server has it
        route.abort()

    window.page.route("**/api/decide", lose, times=1)
    window.press("a")
    window.wait_text("#fault-text", "not saved")
    window.wait_said("Saved: accepted")  # it is tried again by itself
    assert len(decisions(server.records)) == 1
    window.press("r")
    window.wait_said("Saved: rejected")
    assert [line["verdict"] for line in decisions(server.records)] == ["accepted", "rejected"]
    window.faults.clear()


def test_two_windows_see_each_other_and_overwrite_nothing(
    window: ReviewPage, server: ReviewServer
) -> None:
    other = ReviewPage.in_context(window.page.context)
    other.open(server.address)
    other.press("e")
    other.page.keyboard.insert_text("from the other window")
    window.press("a")
    other.wait_text("#meanwhile", "accepted")
    other.press("Control+Enter")
    other.wait_text("#conflict-text", "1 decision not saved")
    assert len(decisions(server.records)) == 1
    # It is still there after a reload, and in the dialog.
    other.page.reload()
    other.page.wait_for_selector("body[data-ready]")
    other.wait_text("#conflict-text", "1 decision not saved")
    other.press("c")
    shown = other.text("#conflict")
    assert "from the other window" in shown
    assert "a dog number 0" in shown
    other.press("1")
    other.wait_said("Saved: edited")
    window.wait_text("#option-0 .row-caption", "from the other window")
    assert other.page.evaluate("document.activeElement.id") == "list"
    # The other way round, the file's stays.
    window.press("Home", "e")
    window.page.keyboard.insert_text("again from the first")
    other.press("Home", "x")
    window.wait_text("#meanwhile", "rejected")
    window.press("Control+Enter")
    window.wait_text("#conflict-text", "1 decision not saved")
    window.page.focus("[data-command=conflicts]")
    window.press("Enter", "2")
    window.page.wait_for_selector("#conflict-banner", state="hidden")
    window.page.wait_for_function("() => document.activeElement.id === 'list'")
    assert [line["verdict"] for line in decisions(server.records)] == [
        *("accepted", "edited", "rejected")
    ]
    assert not other.faults or all("409" in fault for fault in other.faults)
    window.faults[:] = [fault for fault in window.faults if "409" not in fault]


def test_undo_does_not_undo_another_window(window: ReviewPage, server: ReviewServer) -> None:
    other = ReviewPage.in_context(window.page.context)
    other.open(server.address)
    window.press("a")
    other.wait_text("#option-0 .row-state", "accepted")
    other.press("Home", "x")
    window.wait_text("#option-0 .row-state", "rejected")
    window.press("z")
    window.wait_said("another window has changed it")
    assert last(server)[:2] == ("00000", "rejected")
    window.faults.clear()  # 409


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
    assert window.text("#option-1 .row-caption") == "a wolf number 1"
    assert window.text("#option-2 .row-caption") == "a dog number 2"
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
