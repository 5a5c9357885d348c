"""The page of `capgen review` with many records: how fast it is, and whether its memory grows.

    python -m tests.bench.review_page [--records 20000] [--moves 500] [--rounds 4]

In Chromium without a window, from an empty cache, on generated pictures of 1,600 × 1,200 pixels:
the time from opening the address until the page takes keys, and until the first picture is shown;
from a key until the next picture is on the screen; the tab's heap and its elements after each
round of moves, after a collection.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.reviewing import ReviewPage, chromium, make_records, reviewing

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

# Resolves with the time from the press of a key until the frame after the picture is complete.
_TIMED = """(key) => new Promise((done) => {
  const list = document.getElementById("list");
  const name = document.getElementById("name").textContent;
  const start = performance.now();
  list.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const look = () => {
    const image = document.querySelector("#stage .large");
    const there = document.getElementById("name").textContent !== name && image?.complete;
    if (there) requestAnimationFrame(() => done(performance.now() - start));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
_FIRST = "() => document.querySelector('#stage .large')?.complete"


def ready(page: ReviewPage, address: str) -> dict[str, float]:
    """Open the page; return the seconds until it takes keys, and shows the first picture."""
    start = time.perf_counter()
    page.open(address)
    keys = time.perf_counter() - start
    page.page.wait_for_function(_FIRST)
    return {"keys": keys, "picture": time.perf_counter() - start}


def move(page: ReviewPage, moves: int, pause: float = 0.0, key: str = "j") -> list[float]:
    """Go on to so many pictures; return the milliseconds that each took.

    Args:
        page: The page.
        moves: How often.
        pause: Seconds between two, in which a person looks at a picture.
        key: The key.
    """
    times = []
    for _ in range(moves):
        times.append(page.page.evaluate(_TIMED, key))
        if pause:
            page.page.wait_for_timeout(1000 * pause)
    return times


def memory(session: CDPSession, browser: CDPSession) -> dict[str, float]:
    """Return the tab's heap in MB and its number of elements, after a collection.

    On Linux also the resident memory of the process, which has the decoded pictures.
    """
    session.send("HeapProfiler.collectGarbage")
    counters: dict[str, Any] = session.send("Memory.getDOMCounters")
    used = session.send("Runtime.getHeapUsage")
    found = {"heap_mb": used["usedSize"] / 2**20, "nodes": counters["nodes"]}
    if sys.platform == "linux":
        processes = browser.send("SystemInfo.getProcessInfo")["processInfo"]
        ids = [process["id"] for process in processes if process["type"] == "renderer"]
        pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in ids)
        found["resident_mb"] = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return found


def measure(records: Path, moves: int, rounds: int, pause: float) -> dict[str, Any]:
    """Return what the page took."""
    with reviewing(records) as server, chromium() as browser:
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        page = ReviewPage.in_context(context)
        found: dict[str, Any] = {"ready_s": ready(page, server.address)}
        looked = sorted(move(page, 60, pause))
        found["next_ms"] = {"median": looked[30], "p95": looked[56], "most": looked[-1]}
        session = context.new_cdp_session(page.page)
        session.send("HeapProfiler.enable")
        whole = browser.new_browser_cdp_session()
        found["memory"] = [memory(session, whole)]
        hurried: list[float] = []
        for _ in range(rounds):
            hurried += move(page, moves)
            found["memory"].append(memory(session, whole))
        hurried.sort()
        found["next_at_once_ms"] = {
            "median": hurried[len(hurried) // 2],
            "p95": hurried[int(0.95 * len(hurried))],
        }
        assert not page.faults, page.faults
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--moves", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        texts = [f"a dog number {n} runs on the grass" for n in range(arguments.records)]
        records = make_records(Path(folder), texts, pictures=200, size=(1600, 1200))
        found = measure(records, arguments.moves, arguments.rounds, arguments.pause)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
