"""Sources that may block."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from capgen.captioning.batch.sources import FileSource
from capgen.config import ImageLimits
from capgen.errors import ImageError


def test_a_pipe_that_nobody_writes_into_is_abandoned_once_stopped(tmp_path: Path) -> None:
    pipe, stop, caught = tmp_path / "pipe", threading.Event(), []

    def read() -> None:
        with pytest.raises(ImageError, match="pipe: the reading was cancelled") as error:
            FileSource(str(pipe)).read(ImageLimits(), stop)
        caught.append(error.value.code)

    os.mkfifo(pipe)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    stop.set()
    reader.join(timeout=10)
    assert caught == ["unreadable"]
    # Lets the abandoned thread end.
    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe, data = tmp_path / "pipe", os.urandom(300_000)
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,), daemon=True)
    writer.start()
    assert FileSource(str(pipe)).read(ImageLimits(), threading.Event()) == data
    writer.join(timeout=10)


@pytest.mark.parametrize("name", ["", "missing", "a\0b", "."])
def test_what_is_no_file_is_told(name: str) -> None:
    with pytest.raises(ImageError) as caught:
        FileSource(name).read(ImageLimits(), threading.Event())
    assert caught.value.code == ("unreadable" if name == "." else "missing")
