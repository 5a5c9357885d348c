"""README.md: what it shows is what capgen says now."""

from __future__ import annotations

import html
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capgen import Captioner
from capgen.paths import bundled_images
from tests.fakes import draw_image
from tests.pages import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
IMAGES = 80
RECORDING = ROOT / "docs" / "images" / "killed-run.svg"
CELL = re.compile(r"<td[^>]*>(.*?)</td>")


def strip() -> dict[str, tuple[str, float, str]]:
    """Return the strip's file names with caption, confidence and verdict."""
    cells = CELL.findall(README)
    images = [match for cell in cells if (match := re.search(r'<img src="([^"]+)"', cell))]
    texts = [
        match
        for cell in cells
        if (match := re.fullmatch(r"(.+?)<br><b>(0\.\d\d)</b> · (.+)", cell))
    ]
    return {
        Path(image[1]).name: (html.unescape(text[1]), float(text[2]), text[3])
        for image, text in zip(images, texts, strict=True)
    }


def test_the_strip_is_what_the_bundled_model_says() -> None:
    shown = strip()
    files = {image.name: image for image in bundled_images()}
    assert shown.keys() == files.keys()
    captioner = Captioner.from_pretrained()
    for name, (caption, confidence, _) in shown.items():
        found = captioner.caption(files[name], confidence=True)
        assert caption == found.text
        assert confidence == pytest.approx(found.confidence, abs=0.01)


def test_wrong_captions_of_the_strip_are_marked() -> None:
    verdicts = [verdict for _, _, verdict in strip().values()]
    assert all(re.match(r"right|partly: |✗ <b>wrong</b>: ", verdict) for verdict in verdicts)
    assert sum("✗" in verdict for verdict in verdicts) >= 2
    [said] = re.findall(r"(\w+) are wrong:\n", README)
    assert said == {2: "Two", 3: "Three"}[sum("✗" in verdict for verdict in verdicts)]


def test_it_is_short_and_its_images_are_small() -> None:
    assert len(README.splitlines()) <= 150
    images = re.findall(r'(?:<img src="|!\[[^]]*\]\()([^")]+)', README)
    assert len(images) == 7
    assert sum((ROOT / image).stat().st_size for image in images) < 1_000_000


def recorded() -> list[str]:
    """Return the lines of the recording's last frame."""
    text = RECORDING.read_text(encoding="utf-8")
    lines = {
        name: html.unescape(re.sub(r"<[^>]+>", "", line))
        for name, line in re.findall(r'<text id="(l\d+)">(.*?)</text>', text)
    }
    height = int(re.findall(r'viewBox="0 0 \d+ (\d+)"', text)[0])
    last = int(re.findall(r"#all\{transform:translateY\(-(\d+)px\)", text)[0])
    uses = re.findall(r'<use href="#(l\d+)" y="(\d+)"', text)
    return [lines[name] for name, y in uses if last <= int(y) < last + height]


def plain(line: str) -> str:
    return re.sub(r"[\d.,:]+", "N", line)


@pytest.mark.skipif(sys.platform != "linux", reason="timeout(1)")
def test_the_recording_is_of_commands_that_still_say_that(tmp_path: Path) -> None:
    """The same commands, but that the first is killed by the number of its records."""
    first, killed, second, told, count, counted, _ = recorded()
    assert "images/sKilled" in killed
    command = shlex.split(second.removeprefix("$ "))
    assert shlex.split(first)[-len(command) :] == command
    (tmp_path / "photos").mkdir()
    for number in range(IMAGES):
        draw_image(number, (48, 48)).save(tmp_path / "photos" / f"{number}.jpg")
    capgen = [sys.executable, "-m", *command]
    journal = tmp_path / "captions.jsonl.journal"
    running = subprocess.Popen(capgen, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
        assert running.poll() is None
    running.kill()
    assert running.wait() == -signal.SIGKILL
    again = subprocess.run(capgen, cwd=tmp_path, capture_output=True, text=True, check=True)
    # The terminal shows how long it took only after some seconds.
    assert plain(again.stderr.splitlines()[-1]).startswith(plain(told).split(" (")[0])
    assert shutil.which("wc") and count == "$ wc -l captions.jsonl"
    lines = (tmp_path / "captions.jsonl").read_text().splitlines()
    assert f"{len(lines)} captions.jsonl" == counted.replace(counted.split()[0], str(IMAGES))
