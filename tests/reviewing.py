"""`capgen review` as a process, and Chromium that shows its page."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from capgen.records import Caption
from capgen.reviews.journal import reviews_path
from tests.browser import BROWSER
from tests.review_servers import running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

ROOT = Path(__file__).parent.parent
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")


def make_records(
    folder: Path, texts: Sequence[str], *, pictures: int = 20, size: tuple[int, int] = (160, 120)
) -> Path:
    """Write images and a file of records about them.

    Args:
        folder: Where they go.
        texts: A caption for each image.
        pictures: So many images differ; the rest are the same files under other names.
        size: Width and height of the images.

    Returns:
        captions.jsonl. The confidence of image i is (7 i mod 100) / 100.
    """
    records = folder / "captions.jsonl"
    images = folder / "photos"
    images.mkdir(parents=True)
    with records.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            path = images / f"{number:05d}.jpg"
            if number < pictures:
                colour = (37 * number % 256, 91 * number % 256, 151 * number % 256)
                grain = Image.effect_noise(size, 50).convert("RGB")
                Image.blend(Image.new("RGB", size, colour), grain, 0.3).save(path)
            else:
                os.link(images / f"{number % pictures:05d}.jpg", path)
            record = Caption(
                path=str(path.relative_to(folder)),
                text=text,
                log_probability=-4.0,
                score=-0.5,
                width=size[0],
                height=size[1],
                alternatives=tuple(
                    Caption(text=f"{text} {nth}", log_probability=-5.0, score=-0.6)
                    for nth in ("again", "once more")
                ),
                confidence=7 * number % 100 / 100,
            )
            file.write(json.dumps(record.to_dict()) + "\n")
    return records


def decisions(records: Path) -> list[dict[str, Any]]:
    """Return the lines of the journal beside a file of records."""
    journal = reviews_path(records)
    if not journal.exists():
        return []
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


def last(server: ReviewServer) -> tuple[str, str, str]:
    """Return what was decided last: image, verdict, caption."""
    line = decisions(server.records)[-1]
    return Path(line["path"]).stem, line["verdict"], line.get("caption", "")


@dataclass
class ReviewServer:
    """`capgen review` about a file of records.

    Attributes:
        records: The file.
        address: What it printed, with the token.
        said: What it wrote to stderr until then.
    """

    records: Path
    address: str = ""
    said: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "capgen", "review", self.records.name),
                *("--no-open", "--by", "ann"),
            ],
            cwd=self.records.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self.said = []
        for line in self._process.stderr:
            self.said.append(line)
            if found := ADDRESS.search(line):
                self.address = found[0]
                return
        raise AssertionError(f"no address: {''.join(self.said)}")

    def kill(self) -> None:
        """End it without a warning."""
        self._end(signal.SIGKILL)

    def stop(self) -> str:
        """End it as Ctrl-C does; return what it wrote to stderr since it started."""
        return self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> str:
        if self._process is None:
            return ""
        self._process.send_signal(how)
        _, rest = self._process.communicate(timeout=30)
        self._process = None
        return "".join(self.said) + (rest or "")


@contextmanager
def reviewing(records: Path) -> Iterator[ReviewServer]:
    """Run the server of a file of records."""
    server = ReviewServer(records)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def reviewing_here(records: Path) -> Iterator[ReviewServer]:
    """Run the server of a file of records in this process, which is faster."""
    with running(records) as server:
        address = f"http://127.0.0.1:{server.port}/?token={server.access.token}"
        yield ReviewServer(records, address)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


def chromium_with_profile(playwright: Playwright, profile: Path) -> BrowserContext:
    """Run Chromium whose storage is in a folder, where the next one finds it."""
    return playwright.chromium.launch_persistent_context(
        profile, executable_path=BROWSER, args=["--no-sandbox"]
    )


def kill_chromium(profile: Path) -> None:
    """Kill the browser with this profile, and wait until the rest of its processes has ended.

    They end with it, but not at once. A browser that is started while the one that holds the
    storage still runs finds that locked, and begins with an empty one (Linux).
    """
    parents = dict(_processes())
    [browser] = [number for number in parents if _runs(number, profile)]
    family = {browser}
    while more := {number for number, parent in parents.items() if parent in family} - family:
        family |= more
    os.kill(browser, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while family & {number for number, _ in _processes()}:
        assert time.monotonic() < deadline, "processes of a killed browser do not end"
        time.sleep(0.005)


def _processes() -> Iterator[tuple[int, int]]:
    """Yield the numbers of the processes that run, and of their parents."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            told = (place / "stat").read_text("ascii", "replace")
        except OSError:  # it has ended meanwhile
            continue
        state, parent = told.rpartition(")")[2].split()[:2]  # after its name
        if state != "Z":
            yield int(place.name), int(parent)


def _runs(number: int, profile: Path) -> bool:
    """Whether a process is the main one of the browser with this profile."""
    try:
        command = Path("/proc", str(number), "cmdline").read_bytes()
    except OSError:
        return False
    return f"--user-data-dir={profile}\0".encode() in command and b"--type=" not in command


# Tells Python what the page says, while it says it.
_LISTEN = """
window.addEventListener("DOMContentLoaded", () => {
  const said = document.getElementById("said");
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) window.tell(node.textContent);
    }
  }).observe(said, { childList: true });
});
"""


@dataclass
class ReviewPage:
    """The page in a browser.

    Attributes:
        page: Playwright's handle.
        said: What its live region said.
        faults: Errors in its console.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def in_context(cls, context: BrowserContext) -> ReviewPage:
        """Make a window."""
        context.set_default_timeout(60_000)  # machines of CI are busy
        self = cls(context.new_page())
        self.page.expose_function("tell", lambda text: self.said.append(text))
        self.page.add_init_script(_LISTEN)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._heard)
        return self

    def _heard(self, message: Any) -> None:
        # Answers such as 404 with nothing to undo are in the console, too.
        if message.type == "error" and "/api/" not in message.location["url"]:
            self.faults.append(f"{message.text} {message.location['url']}")

    def open(self, address: str) -> None:
        """Show the page, and wait until it takes keys."""
        self.page.goto(address)
        self.page.wait_for_selector("body[data-ready]")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, selector: str) -> str:
        """Return the text that an element shows."""
        return self.page.inner_text(selector)

    def wait_text(self, selector: str, text: str) -> None:
        """Wait until an element contains a text."""
        self.page.wait_for_function(
            "([place, text]) => document.querySelector(place)?.textContent.includes(text)",
            arg=[selector, text],
        )

    def wait_said(self, text: str) -> None:
        """Wait until the page says something."""
        self.wait_text("#said", text)

    def wait_all_saved(self) -> None:
        """Wait until nothing is on its way to the server."""
        self.page.wait_for_function("() => document.body.dataset.unsaved === '0'")
