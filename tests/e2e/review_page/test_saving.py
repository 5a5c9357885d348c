"""Saving decisions on the page of `capgen review`: without a server, and in two windows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser import needs_browser
from tests.reviewing import ReviewPage, ReviewServer, decisions, last, reviewing

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = needs_browser


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
    while not held:  # the page shows it a moment before the browser asks
        window.page.wait_for_timeout(1)
    held[0].continue_()
    window.wait_said("Saved: accepted")
    window.page.fill("#field", "better words")
    window.press("Control+Enter")
    window.wait_said("Saved: edited")
    assert last(server) == ("00000", "edited", "better words")


def test_drafts_survive_leaving_reloading_and_closing(
    browser: Any, window: ReviewPage, server: ReviewServer
) -> None:
    window.press("e")
    window.page.fill("#field", "half a sen")
    window.wait_text("#draft-state", "kept")
    window.press("Escape")
    window.wait_text("#state", "draft")
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
    for _ in range(50):  # the browser frees what a closed window held a moment later
        second.page.reload()
        second.page.wait_for_selector("body[data-ready]")
        if "draft" in second.text("#state"):
            break
    second.press("e")
    assert second.page.input_value("#field") == "half a sen"
    second.page.fill("#field", "a whole sentence")
    second.press("Control+Enter")
    second.wait_said("Saved: edited")
    assert last(server) == ("00000", "edited", "a whole sentence")
    second.press("Home")
    second.wait_text("#state", "edited")
    assert "draft" not in second.text("#state")
    assert not second.faults


@pytest.mark.parametrize("server", [reviewing], indirect=True)
def test_without_a_server_decisions_wait_in_the_browser(
    window: ReviewPage, server: ReviewServer
) -> None:
    server.kill()
    window.press("a", "e")
    window.page.fill("#field", "typed without a server")
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


def test_a_journal_that_is_moved_away_is_told_and_loses_nothing(
    window: ReviewPage, server: ReviewServer
) -> None:
    journal = server.records.with_name(server.records.name + ".reviews")
    window.press("a")
    window.wait_said("Saved: accepted")
    away = journal.rename(journal.with_name("away"))
    window.press("x")
    window.wait_text("#fault-text", "removed or replaced during the review. They are kept")
    away.rename(journal)
    window.press("t")
    window.wait_said("Saved: rejected")
    assert len(decisions(server.records)) == 2
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
    other.page.fill("#field", "from the other window")
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
    window.page.fill("#field", "again from the first")
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


@pytest.mark.parametrize("server", [reviewing], indirect=True)
def test_decisions_find_their_pictures_in_a_file_that_was_made_again(
    window: ReviewPage, server: ReviewServer
) -> None:
    window.page.select_option("#order", "name")
    window.press("Escape", "End", "e")
    window.page.fill("#field", "half a sen")
    window.wait_text("#draft-state", "kept")
    window.press("Escape", "k")
    window.wait_text("#name", "00028.jpg")
    server.kill()
    window.press("x")
    window.wait_text("#fault-text", "1 decision not saved")
    lines = server.records.read_text().splitlines(keepends=True)
    server.records.write_text("".join(reversed(lines[3:])))
    server.start()
    other = ReviewPage.in_context(window.page.context)
    other.open(server.address)
    window.press("t")
    window.wait_said("Saved: rejected")
    assert last(server)[:2] == ("00028", "rejected")
    window.wait_text("#shown", "27 pictures")
    window.press("End", "e")
    assert window.page.input_value("#field") == "half a sen"
    window.faults.clear()
