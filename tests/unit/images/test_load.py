"""Loading: sources, files that cannot be had, threads and streams."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.images.load import load_image
from tests.unit.images.samples import (
    RED,
    SEEDS,
    WHITE,
    encoded,
    exif,
    fault,
    noise,
    pixels,
)

# --- sources


@pytest.mark.parametrize("name", ["a b.png", "ünï.png", "line\nbreak.png", "[red].png", "%s.png"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(Image.new("RGB", (1, 1), RED), "PNG"))
    assert (pixels(str(path)) == RED).all()
    path.write_bytes(b"")
    assert name.replace("\n", "\\n") in fault(path).message


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Path(path).write_bytes(encoded(Image.new("RGB", (1, 1), RED), "PNG"))
    assert (pixels(path) == RED).all()
    Path(path).write_bytes(b"")
    message = fault(path).message
    assert "caf\\udce9.png" in message
    message.encode()  # fit to be printed


def test_pipe() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as pipe:
        pipe.write(encoded(Image.new("RGB", (3, 2), RED), "PNG"))
    assert (pixels(f"/dev/fd/{read}") == RED).all()
    os.close(read)


def test_pil_image_is_turned_once() -> None:
    data = encoded(Image.fromarray(noise(4, 6)), "PNG", exif=exif(6))
    once = load_image(Image.open(BytesIO(data)))
    np.testing.assert_array_equal(np.asarray(once.image), pixels(data))
    again = load_image(once.image)
    np.testing.assert_array_equal(np.asarray(again.image), pixels(data))
    assert (once.width, once.height, once.format) == (4, 6, "PNG")


def test_pil_image_that_cannot_be_loaded() -> None:
    data = encoded(Image.fromarray(noise(40, 40)), "PNG")
    assert fault(Image.open(BytesIO(data[:500]))).code == "truncated"
    assert fault(Image.new("RGB", (0, 5))).code == "empty"


def test_pil_image_is_not_changed() -> None:
    image = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert (pixels(image) == WHITE).all()
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0)) == (255, 0, 0, 0)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((2, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 3), RED, np.uint8), RED),
        (np.full((2, 3, 4), (255, 0, 0, 0), np.uint8), WHITE),
        (np.full((2, 3), 257 * 9, np.uint16), (9, 9, 9)),
        (np.full((2, 3, 3), 65535, np.uint16), WHITE),
        (np.full((2, 3), True), WHITE),
        (np.full((2, 3, 3), 0.5), (128, 128, 128)),
        (np.full((2, 3), 1.0001, np.float32), WHITE),
        (np.full((2, 3), 0.25, np.float16), (64, 64, 64)),
        (np.full((4, 6, 3), RED, np.uint8)[::-2, ::2], RED),
    ],
)
def test_arrays(array: np.ndarray, expected: tuple[int, int, int]) -> None:
    loaded = load_image(array)
    assert (loaded.width, loaded.height, loaded.format) == (3, 2, None)
    assert (np.asarray(loaded.image) == expected).all()


@pytest.mark.parametrize(
    ("array", "code", "words"),
    [
        (np.zeros((2, 3, 2), np.uint8), "unsupported", "shape (2, 3, 2)"),
        (np.zeros((3, 20, 20), np.uint8), "unsupported", "channels go last"),
        (np.zeros(5, np.uint8), "unsupported", "shape (5,)"),
        (np.zeros((1, 2, 2, 3), np.uint8), "unsupported", "shape (1, 2, 2, 3)"),
        (np.zeros((2, 3), np.int64), "unsupported", "int64"),
        (np.zeros((2, 3), np.complex64), "unsupported", "complex64"),
        (np.full((2, 3), 200.0), "unsupported", "200"),
        (np.full((2, 3), np.nan), "unsupported", "nan"),
        (np.zeros((0, 3), np.uint8), "empty", "no pixels"),
    ],
)
def test_bad_arrays(array: np.ndarray, code: str, words: str) -> None:
    error = fault(array, name="frame 3")
    assert error.code == code
    assert error.message.startswith("frame 3: ")
    assert words in error.message


def test_other_sources_are_refused() -> None:
    assert "int" in fault(3).message


# --- faults


def test_missing_and_folder(tmp_path: Path) -> None:
    assert fault(tmp_path / "no.jpg").code == "missing"
    assert fault("").code == "missing"
    assert fault("nul\0byte.jpg").code == "missing"
    assert "not download" in fault("https://example.org/a.jpg").hint
    (tmp_path / "link.jpg").symlink_to(tmp_path / "no.jpg")
    assert "link" in fault(tmp_path / "link.jpg").message
    (tmp_path / "file").write_text("x")
    assert fault(tmp_path / "file" / "a.jpg").code == "missing"
    error = fault(tmp_path)
    assert (error.code, "folder" in error.message) == ("unreadable", True)
    assert fault("a" * 5000).code == "unreadable"
    if Path("/dev/zero").exists():
        assert fault("/dev/zero").code == "unreadable"


def test_link_loop(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert fault(tmp_path / "loop.jpg").code == "unreadable"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(encoded(Image.new("RGB", (1, 1)), "JPEG"))
    path.chmod(0)
    load_image(encoded(Image.new("RGB", (1, 1)), "JPEG"))  # import what the child needs
    monkeypatch.chdir(tmp_path)  # its parents may be closed to others
    tmp_path.chmod(0o755)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:  # root may read everything: become nobody
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            load_image("secret.jpg")
        except ImageError as error:
            os.write(write, f"{error.code}|{error.message}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "permission|secret.jpg: not allowed to read it"
    os.waitpid(child, 0)


# --- threads and streams


def test_threads_decode_the_same() -> None:
    sources = [*SEEDS.values()] * 4
    expected = [pixels(data) for data in sources]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(pixels, sources), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_nothing_on_standard_streams(tmp_path: Path) -> None:
    giant = tmp_path / "giant.tif"
    Image.new("1", (10_000, 9_000)).save(giant, compression="group4")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(encoded(Image.fromarray(noise(64, 64)), "JPEG")[:2000])
    code = (
        "import sys\n"
        "from capgen.errors import ImageError\n"
        "from capgen.images.load import load_image\n"
        "load_image(sys.argv[1])\n"
        "try: load_image(sys.argv[2])\n"
        "except ImageError as error: sys.exit(0 if error.code == 'truncated' else 3)\n"
        "sys.exit(4)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, giant, cut], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_jpegs_are_taken_when_asked(progressive: bool, share: float) -> None:
    data = BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(data, "JPEG", progressive=progressive)
    whole = data.getvalue()
    cut = whole[: int(share * len(whole))]
    assert fault(cut).code == "truncated"
    loaded = load_image(cut, limits=ImageLimits(accept_truncated=True))
    assert loaded.image.size == (64, 64)
    same = np.asarray(loaded.image)[:8] == np.asarray(load_image(whole).image)[:8]
    assert progressive or same.all()  # what is there is decoded as ever


def test_a_truncated_jpeg_without_its_header_is_refused_all_the_same() -> None:
    data = BytesIO()
    Image.new("RGB", (64, 64)).save(data, "JPEG")
    with pytest.raises(ImageError):
        load_image(data.getvalue()[:100], limits=ImageLimits(accept_truncated=True))


def test_the_error_of_a_truncated_jpeg_names_the_option_that_takes_it() -> None:
    data = BytesIO()
    Image.new("RGB", (64, 64)).save(data, "JPEG")
    assert "--accept-truncated" in fault(data.getvalue()[:-20]).hint
    data = BytesIO()
    Image.effect_noise((64, 64), 60).save(data, "PNG")
    assert fault(data.getvalue()[:500]).hint == ""
