"""The files of the page: where they are, and that no old one is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from capgen import review_page
from capgen.review_page.file_key import file_key
from tests.fakes import draw_image, write_records
from tests.review_servers import running
from tests.unit.reviews.made import caption

FOLDER = Path(review_page.__file__).parent / "static"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.js"))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    draw_image(0, (80, 60)).save(folder / "0.jpg")
    write_records(folder / "captions.jsonl", [caption(0, 0.5)])
    return folder / "captions.jsonl"


@pytest.fixture(scope="module")
def client(records: Path) -> Iterator[httpx.Client]:
    with running(records) as server:
        yield server.client


def test_everything_that_the_page_names_is_there(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:href|src)="(/[^"]*)"', page.text)
    assert {"/static/page.css", "/static/review.css", "/static/main.js"} <= set(named)
    for address in named:
        assert client.get(address).status_code == 200


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_import_what_is_there_and_nothing_from_elsewhere(
    client: httpx.Client, name: str
) -> None:
    script = client.get(f"/static/{name}")
    assert script.headers["content-type"].startswith("text/javascript")
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", script.text)
    for other in re.findall(r'from "([^"]+)"', script.text):
        assert other.removeprefix("./") in SCRIPTS


def test_no_script_makes_elements_of_text() -> None:
    """Names and captions may hold anything."""
    for name in SCRIPTS:
        script = (FOLDER / name).read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script
        )


def test_a_file_is_asked_for_again_and_sent_once(client: httpx.Client) -> None:
    first = client.get("/static/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/static/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/static/dom.js", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_the_list_says_which_file_it_is_of(client: httpx.Client, records: Path) -> None:
    assert client.get("/api/items").json()["file"] == file_key(records)
