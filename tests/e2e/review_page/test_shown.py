"""The page of `capgen review` for a screen reader, on a phone, and with 20,000 records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench import review_page as bench
from tests.browser import needs_browser
from tests.reviewing import (
    ReviewPage,
    ReviewServer,
    make_records,
    reviewing,
    reviewing_here,
)

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = needs_browser
MANY = 20_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    texts = [f"a dog number {number} on a rather long walk" for number in range(30)]
    texts[1] = "word " * 1000
    with reviewing_here(make_records(tmp_path_factory.mktemp("shown"), texts)) as running:
        yield running


def faults(page: ReviewPage) -> list[tuple[str, str, list[str]]]:
    """Return axe-core's serious and critical findings."""
    # Best practices too, not only what the standard demands.
    found = axe.Axe().run(page.page).response["violations"]
    return [
        (rule["id"], rule["help"], [node["html"] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 360)])
def test_axe_finds_nothing_serious(
    browser: Any, server: ReviewServer, scheme: str, width: int
) -> None:
    context = browser.new_context(
        # The test's own script is no part of the page.
        bypass_csp=True,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
    )
    page = ReviewPage.in_context(context)
    page.open(server.address)
    page.wait_text("#others", "again")
    assert faults(page) == []
    page.press("Home", "j")  # a long caption
    page.wait_text("#place", "2 of")
    assert faults(page) == []
    page.press("e")
    assert faults(page) == []
    page.press("Escape", "h")
    page.page.fill("#find", "dog")
    page.press("Enter")
    page.wait_text("#replace-count", "changes")
    assert faults(page) == []
    page.press("Escape")
    for key, dialog in (("?", "help"), ("g", "agreement")):
        page.press(key)
        page.page.wait_for_selector(f"#{dialog}[open]")
        assert faults(page) == []
        page.press("Escape")
    page.page.route("**/api/decide", lambda route: route.abort())
    page.press("x")
    page.page.wait_for_selector("#fault:not([hidden])")
    assert faults(page) == []
    context.close()


def test_conflicts_are_accessible(browser: Any, tmp_path: Path) -> None:
    with reviewing_here(make_records(tmp_path, ["a dog", "a cat"])) as server:
        context = browser.new_context(bypass_csp=True)
        pages = [ReviewPage.in_context(context) for _ in range(2)]
        for page in pages:
            page.open(server.address)
        pages[0].press("e")
        pages[0].page.fill("#field", "a wolf")
        pages[1].press("x")
        pages[0].wait_text("#meanwhile", "rejected")
        assert faults(pages[0]) == []
        pages[0].press("Control+Enter")
        pages[0].wait_text("#conflict-text", "1 decision")
        pages[0].press("c")
        assert faults(pages[0]) == []
        context.close()


def test_a_screen_reader_follows_the_list(browser: Any, server: ReviewServer) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = ReviewPage.in_context(context)
    page.open(server.address)
    page.press("End")
    active = page.page.evaluate(
        """() => {
          const list = document.activeElement;
          const option = document.getElementById(list.getAttribute("aria-activedescendant"));
          return [list.getAttribute("role"), option.getAttribute("role"),
            option.getAttribute("aria-posinset"), option.getAttribute("aria-setsize"),
            option.getAttribute("aria-selected"), option.textContent];
        }"""
    )
    assert active[:5] == ["listbox", "option", "30", "30", "true"]
    assert "number 29" in active[5]
    assert page.page.get_by_role("status").count() > 0
    assert page.page.get_by_role("main").get_by_role("img", name="a dog number 29").count() == 1
    # Each dialog gives the focus back.
    for key in "?gh":
        page.press(key)
        page.page.wait_for_selector("dialog[open]")
        page.press("Escape")
        assert page.page.evaluate("document.activeElement.id") == "list"
    context.close()


def test_a_phone_shows_all_of_it_without_scrolling_sideways(
    browser: Any, server: ReviewServer
) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page = ReviewPage.in_context(context)
    page.open(server.address)

    def check() -> None:
        assert page.page.evaluate("document.documentElement.scrollWidth") == 360
        small = page.page.evaluate(
            """() => [...document.querySelectorAll(
                "button, input, select, textarea, summary, .row")]
              .map((one) => [one.closest("label") ?? one, one])
              .map(([place, one]) => [place.getBoundingClientRect(), one])
              .filter(([box]) => box.height > 0 && (box.height < 44 || box.width < 44))
              .map(([box, one]) => `${one.id || one.textContent} ${box.width}×${box.height}`)"""
        )
        assert small == []

    check()
    page.page.tap("#tools > summary")
    check()
    page.page.tap("[data-command=next]")
    page.wait_text("#place", "2 of")
    check()
    page.page.tap("[data-command=edit]")
    check()
    page.page.tap("#leave")
    for command in ("replace", "agreement", "help"):
        page.page.tap(f"[data-command={command}]")
        check()
        assert page.page.evaluate(
            """() => [...document.querySelectorAll("dialog[open]")]
              .every((dialog) => dialog.scrollWidth <= dialog.clientWidth)"""
        )
        page.page.tap("dialog[open] button:text('Close')")
        page.page.wait_for_selector("dialog[open]", state="detached")
    assert page.faults == []
    context.close()


def test_twenty_thousand_records(browser: Any, tmp_path: Path) -> None:
    """`tests/bench/review_page.py` has the figures; these limits hold on a busy machine."""
    records = make_records(tmp_path, [f"a dog number {number}" for number in range(MANY)])
    with reviewing(records) as server:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = ReviewPage.in_context(context)
        assert bench.ready(page, server.address)["picture"] < 10
        times = sorted(bench.move(page, 30, pause=0.05))
        assert times[15] < 500
        assert page.page.locator("#list [role=option]").count() < 40
        nodes = page.page.evaluate("document.querySelectorAll('*').length")
        page.press("End")
        page.wait_text("#place", "20,000 of 20,000")
        page.page.wait_for_function(
            "() => document.querySelector('[aria-selected=true] img').naturalWidth > 0"
        )
        page.press("/")
        page.page.keyboard.insert_text("number 1999")
        page.press("Enter")
        page.wait_text("#shown", "11 pictures")
        page.page.fill("#search", "")
        page.press("Escape")
        bench.move(page, 60, key="k")
        page.page.select_option("#order", "random")
        page.wait_said("Ordered")
        assert page.page.evaluate("document.querySelectorAll('*').length") < nodes + 150
        assert page.faults == []
        context.close()
