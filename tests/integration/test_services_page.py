"""The service and the unit of docs/services.md."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from capgen import Captioner
from tests.pages import ROOT, blocks, commands
from tests.service_servers import Running, serving

PAGE = ROOT / "docs" / "services.md"
SERVED = "http://127.0.0.1:8000"
TOKEN = "a-token-of-the-tests"
CURLS = [
    command.text
    for block in blocks(PAGE)
    for command in commands(block)
    if command.text.startswith("curl ") and "example.org" not in command.text
]


@pytest.fixture(scope="module")
def running(bundled: Captioner) -> Iterator[Running]:
    with serving(bundled, token=TOKEN) as service:
        yield service


@pytest.fixture
def place(images: list[Path], tmp_path: Path) -> Path:
    """A folder with the files that the page names."""
    shutil.copy(images[0], tmp_path / "photo.jpg")
    shutil.copy(images[1], tmp_path / "screenshot.png")
    (tmp_path / "token.txt").write_text(TOKEN)
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("command", CURLS)
def test_curl_gets_records(command: str, running: Running, place: Path) -> None:
    words = command.replace(SERVED, running.url)
    if "token.txt" not in words:
        words = words.replace("curl ", f"curl -H 'Authorization: Bearer {TOKEN}' ", 1)
    done = subprocess.run(words, shell=True, cwd=place, capture_output=True, timeout=120)
    content = json.loads(done.stdout)
    records = content.get("records", [content])
    assert records and all(record["caption"] for record in records), content


def test_there_are_commands_of_curl() -> None:
    assert len(CURLS) >= 4


def test_the_openai_library_gets_a_caption(
    running: Running, images: list[Path], bundled: Captioner, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = [block.text for block in blocks(PAGE) if block.language == "py"]
    data = base64.b64encode(images[0].read_bytes()).decode()
    text = text.replace(SERVED, running.url).replace("base64,…", f"base64,{data}")
    exec(text.replace("the token, or any text", TOKEN), {})
    assert capsys.readouterr().out.strip() == bundled.caption(images[0]).text


def test_the_page_of_the_browser_posts_what_the_service_reads(
    bundled: Captioner, images: list[Path]
) -> None:
    """The request of the page, as browsers send it; what it shows is in the answer."""
    (text,) = [block.text for block in blocks(PAGE) if block.language == "html"]
    part = re.search(r'form\.append\("(\w+)"', text)
    path = re.search(rf'fetch\("{SERVED}([^"]+)"', text)
    assert part is not None and path is not None
    (allowed,) = set(re.findall(r"--allow-origin (\S+?)`", PAGE.read_text(encoding="utf-8")))
    with serving(bundled, allow_origin=(allowed,)) as service:
        for content, shown in ((images[0].read_bytes(), "caption"), (b"no image", "error")):
            answer = httpx.post(
                service.url + path[1], files={part[1]: content}, headers={"Origin": allowed}
            )
            record = answer.json()
            assert answer.headers["Access-Control-Allow-Origin"] == allowed
            assert record["caption"] if shown == "caption" else record["error"]["message"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "capgen.service").read_text()
    unit = tmp_path / "capgen.service"
    unit.write_text(text.replace("/opt/capgen/bin/capgen", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert "capgen.service" not in done.stderr, done.stderr
