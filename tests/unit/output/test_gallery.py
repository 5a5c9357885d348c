"""Galleries: as large as the images need, without being held in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from capgen.output.gallery import open_gallery
from capgen.records import Caption


def test_a_large_gallery_is_never_in_memory(tmp_path: Path) -> None:
    path, thumbnail = tmp_path / "g.html", bytes(8_000)
    caption = Caption(path="a.jpg", text="a dog", score=-1.0, log_probability=-3.0)
    with open_gallery(path) as write:  # what is loaded once is not counted
        write(caption, thumbnail)
    tracemalloc.start()
    try:
        with open_gallery(path) as write:
            for _ in range(1_000):
                write(caption, thumbnail)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 10_000_000
    assert peak < 1_000_000


def test_control_characters_are_written_out(tmp_path: Path) -> None:
    path = tmp_path / "g.html"
    with open_gallery(path) as write:
        name, text = "a\x1b[31m\udcff.jpg", "\na <dog>\x00"
        write(Caption(path=name, text=text, score=-1.0, log_probability=-3.0), None)
    page = path.read_bytes()
    assert rb'<p class="name">a\x1b[31m\udcff.jpg</p>' in page
    assert rb'spellcheck="true">\na &lt;dog&gt;\x00</textarea>' in page
    assert b"\x1b" not in page
