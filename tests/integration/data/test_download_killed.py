"""`capgen data download` killed at random moments and started again, in real processes."""

from __future__ import annotations

import hashlib
import io
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from capgen.data.dataset import load_dataset, open_dataset
from tests.minis import draw, make_images, write_flickr8k
from tests.server import Served, serving

IMAGES, TEXT = "Flickr8k_Dataset.zip", "Flickr8k_text.zip"


def official_zips(root: Path) -> dict[str, bytes]:
    """Return the two release zips: images in their folder, texts without one."""
    zips = {}
    for name, folder, within in (
        (IMAGES, root / "Flicker8k_Dataset", "Flicker8k_Dataset/"),
        (TEXT, root / "Flickr8k_text", ""),
    ):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, within + path.name)
        zips[name] = data.getvalue()
    return zips


def start(address: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "capgen", "data", "download", "flickr8k"]
    return subprocess.Popen(
        [*command, "--mirror", address, "--keep-archives"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass
class Kill:
    """One kill: how much of the images was there, whole or in part."""

    arrived: int
    whole: bool


def arrived(home: Path) -> Kill:
    archive = home / "datasets" / ".downloads" / "flickr8k" / IMAGES
    part = archive.with_name(archive.name + ".part")
    if archive.exists():
        return Kill(archive.stat().st_size, True)
    return Kill(part.stat().st_size if part.exists() else 0, False)


def kill(served: Served, home: Path, *, times: int, seconds: float, how: int) -> list[Kill]:
    """Start the download and kill it at random moments, most while bytes come.

    The first two at any moment from the start on, the others within `seconds` from when they
    ask for the images, or at their end where those are all there.
    """
    rng = random.Random(17)
    kills = []
    for number in range(times):
        asked = len(served.gets(IMAGES))
        process = start(served.address)
        if number < 2 < times:
            time.sleep(rng.uniform(0.0, seconds))
        else:
            while len(served.gets(IMAGES)) == asked and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, seconds))
        process.send_signal(how)
        process.communicate()
        kills.append(arrived(home))
        assert (
            not (home / "datasets" / "flickr8k").exists()
            or (home / "datasets" / "flickr8k" / "capgen-dataset.jsonl").exists()
        )
    return kills


def check_nothing_twice(served: Served, kills: list[Kill]) -> None:
    """Every request must begin where the bytes on disk ended when it was made."""
    assert max(kill.arrived for kill in kills) > 0, "no kill came while bytes did"
    starts = [int((r or "bytes=0-")[6:-1]) for r in served.gets(IMAGES)]
    assert starts == sorted(starts)
    known = {0, *(kill.arrived for kill in kills)}
    assert set(starts) <= known
    if any(kill.whole for kill in kills):
        # Nothing more is asked for once the file is whole.
        partial = [kill for kill in kills if not kill.whole]
        assert len(starts) <= len(partial) + 1


@pytest.mark.parametrize(
    ("how", "times"), [(signal.SIGKILL, 10), (signal.SIGINT, 2), (signal.SIGTERM, 2)]
)
def test_miniature_killed_again_and_again(how: int, times: int, tmp_path: Path, home: Path):
    root = write_flickr8k(tmp_path / "set", make_images(12))
    draw(1, (900, 700)).save(root / "Flicker8k_Dataset" / "stray.bmp")  # weight: 1.9 MB
    zips = official_zips(root)
    with serving(Served(files=dict(zips), rate=600_000)) as served:
        kills = kill(served, home, times=times, seconds=0.3, how=how)
        served.rate = None
        process = start(served.address)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        check_nothing_twice(served, kills)
    assert "12 images, 60 captions" in out
    downloads = home / "datasets" / ".downloads" / "flickr8k"
    for name, data in zips.items():
        assert (downloads / name).read_bytes() == data
    assert open_dataset("flickr8k", None).digest == load_dataset(root).digest


def test_interrupt_says_so_and_leaves_nothing_half_made(tmp_path: Path, home: Path):
    root = write_flickr8k(tmp_path / "set", make_images(12))
    with serving(Served(files=official_zips(root), rate=5_000)) as served:
        process = start(served.address)
        while not served.gets(IMAGES):
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert time.monotonic() - began < 3
    assert "run the same command again" in err and "Traceback" not in err
    assert not (home / "datasets" / "flickr8k").exists()


def test_second_process_waits_for_the_first(tmp_path: Path, home: Path):
    root = write_flickr8k(tmp_path / "set", make_images(12))
    goes_on = threading.Event()
    with serving(Served(files=official_zips(root), held={IMAGES: goes_on})) as served:
        first = start(served.address)
        while not served.gets(IMAGES):
            assert first.poll() is None
            time.sleep(0.02)
        second = start(served.address)
        said = ""
        while "Another process is downloading flickr8k" not in said:
            line = second.stderr.readline()
            assert line, f"the second ended without waiting: {said}"
            said += line
        goes_on.set()
        outs = [process.communicate() for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert "already installed" in outs[1][0]
    assert len(served.gets(IMAGES)) == 1


@pytest.mark.realdata
def test_real_flickr8k_killed_ten_times(realdata: Path, home: Path):
    zips = official_zips(realdata / "flickr8k")
    with serving(Served(files=dict(zips), rate=24_000_000)) as served:
        kills = kill(served, home, times=10, seconds=1.5, how=signal.SIGKILL)
        process = start(served.address)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        check_nothing_twice(served, kills)
    print(f"\nbytes there at each kill: {[kill.arrived for kill in kills]} of {len(zips[IMAGES])}")
    assert "8,091 images, 40,455 captions; train 6,000, val 1,000, test 1,000" in out
    downloads = home / "datasets" / ".downloads" / "flickr8k"
    for name, data in zips.items():
        got = hashlib.sha256((downloads / name).read_bytes()).hexdigest()
        assert got == hashlib.sha256(data).hexdigest()
    dataset = open_dataset("flickr8k", None)
    assert dataset.counts == {"train": 6000, "val": 1000, "test": 1000, "none": 91}
    assert dataset.digest == load_dataset(realdata / "flickr8k").digest


def test_full_disk(
    tmp_path: Path, make_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
):
    root = write_flickr8k(tmp_path / "set", make_images(12))
    draw(1, (900, 700)).save(root / "Flicker8k_Dataset" / "stray.bmp")
    zips = official_zips(root)
    disk = make_disk("1m")
    monkeypatch.setenv("CAPGEN_HOME", str(disk))
    with serving(Served(files=dict(zips))) as served:
        process = start(served.address)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "Not enough disk space" in err and "MB needed" in err
        assert served.gets(IMAGES) == []
        # A server that does not say how large the file is: the disk fills up.
        served.announce = False
        process = start(served.address)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "No space left to write" in err and "Traceback" not in err
        assert not (disk / "datasets" / "flickr8k").exists()
        kept = arrived(disk)
        assert 0 < kept.arrived < len(zips[IMAGES])
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        process = start(served.address)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert served.gets(IMAGES)[-1] == f"bytes={kept.arrived}-"  # goes on with what is there
        assert "12 images" in out
