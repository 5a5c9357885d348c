"""Servers of `capgen review`, within the tests' process and as a process of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from capgen.config import ImageLimits, ModelOptions
from capgen.review_page.app import Reviewing, make_app
from capgen.review_page.items import read_items
from capgen.review_page.model import ReviewModel
from capgen.review_page.security import Access
from capgen.review_page.serve import Server, listen
from capgen.review_page.session import ReviewSession
from capgen.review_page.windows import Windows
from capgen.reviews.journal import ReviewJournal, reviews_path
from capgen.reviews.places import ImagePlaces

ROOT = Path(__file__).parents[1]


@dataclass
class Running:
    """A server in this process, with a client that it let in."""

    client: httpx.Client
    access: Access
    port: int
    session: ReviewSession
    server: Server


@contextmanager
def running(records: Path, model: ModelOptions | None = None) -> Iterator[Running]:
    """Run a server for a file of records."""
    journal = ReviewJournal(reviews_path(records))
    items = read_items(records)
    places = ImagePlaces([records.parent])
    missing = places.missing(item.key.path for item in items.by_id.values())
    gone = [number for number, lost in zip(items.by_id, missing, strict=True) if lost]
    session = ReviewSession(items, journal, "ann", gone)
    limits = ImageLimits()
    asked = ReviewModel(model, limits)
    review = Reviewing(session=session, places=places, limits=limits, model=asked, records=records)
    listening = listen(0)
    port = listening.getsockname()[1]
    access, windows = Access(), Windows()
    server = Server(make_app(review, access, windows, port), windows, listening)
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            assert client.get("/", params={"token": access.token}).status_code == 303
            yield Running(client, access, port, session, server)
    finally:
        server.stop()
        journal.close()


def change(number: int, version: int = 0, verdict: str | None = "accepted", **more: Any) -> Any:
    """A change as a window sends it."""
    return {"id": number, "version": version, "verdict": verdict, **more}


def decide(client: httpx.Client, *changes: Any, window: str = "one") -> httpx.Response:
    """Send a window's decisions."""
    return client.post("/api/decide", json={"window": window, "changes": list(changes)})


class Process:
    """`capgen review`, or another command that opens its page, as a process."""

    def __init__(self, *arguments: str | Path, folder: Path, command: str = "review") -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "capgen", command, *map(str, arguments), "--no-open"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def client(self) -> httpx.Client:
        """Return a client that the server let in, once it runs."""
        stderr = self.process.stderr
        assert stderr is not None
        while (found := re.search(r"(http://127\.0\.0\.1:\d+)/\?token=\S+", self.said)) is None:
            line = stderr.readline()
            assert line, f"no server: {self.said}"
            self.said += line
        client = httpx.Client(base_url=found[1], timeout=60)
        client.get(found[0])
        return client

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; return the exit code and all that was said on stderr."""
        self.process.send_signal(number)
        out, rest = self.process.communicate(timeout=60)
        assert out == ""
        return self.process.returncode, self.said + rest
