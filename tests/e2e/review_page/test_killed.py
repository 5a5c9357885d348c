"""Server and browser of `capgen review`, killed at random: nothing that was shown is lost."""

from __future__ import annotations

import random
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.browser import needs_browser
from tests.reviewing import (
    ReviewPage,
    ReviewServer,
    chromium_with_profile,
    decisions,
    kill_chromium,
    make_records,
    reviewing,
)

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    needs_browser,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the browser's processes in /proc"),
]
# In random order, another one in each run.
KILLED = ("server", "browser", "both")
COUNT = 200


class Reviewer:
    """A person who goes on after each crash; notes what the page showed as saved or kept."""

    def __init__(self, profile: Path, server: ReviewServer, seed: int) -> None:
        self.random = random.Random(seed)
        self.saved: set[str] = set()
        self.wanted: dict[str, tuple[str, str]] = {}
        self.kept: dict[str, str] = {}
        self.written: dict[str, str] = {}
        self._profile = profile
        self._server = server

    def go_on(self, running: playwright.Playwright) -> None:
        """Start the browser and open the page."""
        self._context = chromium_with_profile(running, self._profile)
        self._window = ReviewPage.in_context(self._context)
        self._window.open(self._server.address)

    def review(self) -> None:
        """Decide a few times, and begin to write a caption."""
        if self._window.page.is_visible("#field"):
            self._window.press("Escape", "j")
        for _ in range(self.random.randint(2, 6)):
            name = self._name()
            key = self.random.choice("aaxe")
            if key == "e":
                text = f"written about {name} {self.random.random()}"
                self._window.press("e")
                self._window.page.fill("#field", text)
                self.kept.pop(name, None)
                if self.random.random() < 0.5:
                    self._window.wait_text("#draft-state", "kept")
                    self.written[name] = text
                self._window.press("Control+Enter")
                self.wanted[name] = ("edited", text)
            else:
                self._window.press(key)
                verdict = "accepted" if key == "a" else "rejected"
                self.wanted[name] = (verdict, f"a dog number {int(name)}")
        name = self._name()
        self._window.press("e")
        self._window.page.fill("#field", f"half a sentence about {name}")
        if self.random.random() < 0.7:  # else it is killed in the middle
            self._window.wait_text("#draft-state", "kept")
            self.kept[name] = f"half a sentence about {name}"

    def end(self, killed: bool) -> None:
        """Close the browser, or note what it said and kill it."""
        self.saved |= {
            said.split(".jpg")[0].rpartition("/")[2]
            for said in self._window.said
            if said.startswith("Saved: ")
        }
        if not killed:
            self._context.close()
            return
        kill_chromium(self._profile)
        with suppress(playwright.Error):  # there is nothing left to close
            self._context.close()

    def finish(self) -> None:
        """Wait until all is saved; note the drafts."""
        self._window.wait_all_saved()
        assert self._window.page.is_hidden("#conflict-banner")
        found = {Path(line["path"]).stem for line in decisions(self._server.records)}
        # What was kept as a draft is in the file once it was sent, or still a draft.
        self.kept |= {name: text for name, text in self.written.items() if name not in found}
        drafts = {}
        for name in self.kept:
            self._window.press("/")
            self._window.page.keyboard.insert_text(name)
            self._window.press("Enter")
            self._window.wait_text("#name", f"{name}.jpg")
            self._window.press("e")
            drafts[name] = self._window.page.input_value("#field")
            self._window.press("Escape")
        assert drafts == self.kept

    def _name(self) -> str:
        self._window.page.wait_for_function(
            "() => document.getElementById('state').textContent.startsWith('unreviewed')"
        )
        return Path(self._window.text("#name")).stem


def test_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    records = make_records(tmp_path, [f"a dog number {number}" for number in range(COUNT)])
    with reviewing(records) as server, playwright.sync_playwright() as running:
        reviewer = Reviewer(tmp_path / "profile", server, seed)
        reviewer.go_on(running)
        for killed in reviewer.random.sample(KILLED, len(KILLED)):
            reviewer.review()
            if killed != "browser":
                server.kill()
                if killed == "server":
                    reviewer.review()  # which nobody answers
            reviewer.end(killed=killed != "server")
            if killed != "browser":
                server.start()
            reviewer.go_on(running)
        reviewer.finish()
        reviewer.end(killed=False)
    lines = [(Path(line["path"]).stem, line) for line in decisions(records)]
    assert max(Counter(name for name, _ in lines).values()) == 1
    found = {name: (line["verdict"], line["caption"]) for name, line in lines}
    assert reviewer.saved <= found.keys()
    assert len(reviewer.saved) > len(KILLED)
    # A key that was pressed in the moment of the kill may not have reached the page.
    assert found.items() <= reviewer.wanted.items()
