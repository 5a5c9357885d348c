"""Chromium that shows the page of `capgen review` about thirty dogs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reviewing import ReviewPage, ReviewServer, chromium, make_records, reviewing_here


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
