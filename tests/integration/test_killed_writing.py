"""40 SIGKILLs while captions are written into images and beside them.

Each process kills itself at another of the things that it asks the system for (opening, locking,
renaming a file, …), as Python's audit hooks see them: no two runs of this test differ.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capgen.config import MetadataOptions
from capgen.images.metadata.write import MetadataWriter
from capgen.output.sidecars import Sidecars
from capgen.records import Caption
from capgen.temporary_files import remove_leftovers
from capgen.undo import undo
from capgen.undo_file import UndoFile
from tests.images_with_metadata import described, encoded, packet, phone_jpeg

ROOT = Path(__file__).parents[2]
KILLS = 40
TEXT = "a dog & a cät on a mat"
SIDECARS = {
    "new.txt": None,
    "old.txt": b"caf\xe9, tag\r\n",
    "marked.txt": b"\xff\xfe" + "ein Hünd\n".encode("utf-16-le"),
    "new.xmp": None,
    "settings.xmp": described("", ' xmlns:crs="urn:crs" crs:Exposure2012="+1.20"'),
    "person.xmp": packet("Oma", en="Grandma"),
}
IMAGES = {
    "new.jpg": encoded("JPEG"),
    "old.png": encoded("PNG"),
    "marked.webp": encoded("WEBP"),
    "settings.tif": encoded("TIFF"),
    "person.jpg": phone_jpeg(),
}


def write(folder: Path, text: str) -> None:
    """Write a caption into all images and beside them, as a run of the command does."""
    log = UndoFile(folder / "undo.jsonl")
    options = MetadataOptions(on_description="append")
    metadata = MetadataWriter(log, options)
    sidecars = [
        Sidecars(suffix, "append", options=options, undo=log) for suffix in (".txt", ".xmp")
    ]
    remove_leftovers(folder)
    for name in sorted(IMAGES):
        assert metadata.write(folder / name, text).problem == ""
        for kind in sidecars:
            caption = Caption(text=text, score=-1.0, log_probability=-1.0)
            assert kind.write(folder / name, caption).problem == ""


def in_a_process(folder: Path, at: int) -> tuple[int, int]:
    """Write in a process that kills itself the `at`th time it asks the system for something.

    Returns:
        Its exit status, and how often it had asked (of one that lived).
    """
    read, wrote = os.pipe()
    number = os.fork()
    if number == 0:
        seen = 0

        def kill(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event.split(".")[0] in ("open", "os", "fcntl", "shutil"):
                seen += 1
                if seen == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        status = 1
        try:
            write(folder, TEXT)
            os.write(wrote, str(seen).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(wrote)
    with os.fdopen(read, "rb") as answer:
        told = answer.read()
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), int(told or 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "undo.jsonl"}


def fill(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    for name, data in {**IMAGES, **SIDECARS}.items():
        if data is not None:
            (folder / name).write_bytes(data)
    return contents(folder)


def kill_again_and_again(place: Path) -> None:
    """Kill a run at 40 moments, each in a folder of its own; check what is there then."""
    before = fill(place / "whole")
    write(place / "whole", TEXT)  # here, so that no process below imports anything
    after = contents(place / "whole")
    fill(place / "counted")
    status, steps = in_a_process(place / "counted", 0)
    assert status == 0 and steps > 2 * KILLS
    left = halfway = 0
    for number in range(KILLS):
        folder = place / f"killed{number}"
        fill(folder)
        status, _ = in_a_process(folder, 1 + number * steps // KILLS)
        assert status == -signal.SIGKILL
        found = contents(folder)
        hidden = [name for name in found if name.endswith(".capgen.tmp")]
        left += len(hidden)
        for name in set(found) - set(hidden):
            assert found[name] in (before.get(name), after[name]), (number, name)
        assert set(before) <= set(found)
        halfway += any(found.get(name) != data for name, data in after.items())
        if number % 2:  # the next run writes the rest
            write(folder, TEXT)
            assert contents(folder) == after, number
        # Either way what there was comes back, and nothing hidden is left.
        if (folder / "undo.jsonl").exists():
            assert all(undone.problem == "" for undone in undo(folder / "undo.jsonl")), number
        assert contents(folder) == before, number
    print(json.dumps({"kills": KILLS, "steps": steps, "left": left, "halfway": halfway}))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_40_sigkills_leave_every_file_old_or_new_and_undone_exactly(tmp_path: Path) -> None:
    module = Path(__file__).stem
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            f"import sys, pathlib; from tests.integration.{module} import kill_again_and_again; "
            "kill_again_and_again(pathlib.Path(sys.argv[1]))",
            str(tmp_path),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # The moments were such that something was half done.
    assert told["left"] >= 5 and told["halfway"] >= 35
