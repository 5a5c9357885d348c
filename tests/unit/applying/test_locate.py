"""Where images are, and whether they are still what was captioned."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from capgen.applying.locate import Locator
from capgen.records import Caption


def record(path: str | None, data: bytes | None = None) -> Caption:
    sha256 = None if data is None else hashlib.sha256(data).hexdigest()
    return Caption(path=path, text="a dog", score=None, log_probability=None, sha256=sha256)


@pytest.fixture
def locator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Locator:
    for name in ("here", "records"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Locator(tmp_path / "records", {hashlib.sha256(b"now").hexdigest(): "before"})


def test_here_first_then_beside_the_records(tmp_path: Path, locator: Locator) -> None:
    (tmp_path / "records" / "a.jpg").write_bytes(b"beside")
    assert locator.file(record("a.jpg")) == tmp_path / "records" / "a.jpg"
    Path("a.jpg").write_bytes(b"here")
    assert Locator(tmp_path / "records", {}).file(record("a.jpg")) == Path("a.jpg")
    # The bytes tell which of the two it is.
    assert locator.locate(record("a.jpg", b"beside")).file == tmp_path / "records" / "a.jpg"


def test_names_of_windows_and_with_blanks(locator: Locator) -> None:
    Path("sub").mkdir()
    Path("sub/a\nb.jpg").write_bytes(b"x")
    assert locator.file(record("sub\\a\nb.jpg")) == Path("sub/a\nb.jpg")
    assert locator.file(record(" sub/a\nb.jpg ")) == Path("sub/a\nb.jpg")


def test_a_changed_image_is_a_problem_unless_capgen_changed_it(locator: Locator) -> None:
    Path("a.jpg").write_bytes(b"now")
    problem = locator.locate(record("a.jpg", b"then")).problem
    assert problem is not None
    assert (problem.code, problem.message) == (
        "changed",
        "a.jpg: changed since it was captioned",
    )
    assert "--undo-file" in problem.hint
    written = Caption(path="a.jpg", text="", score=None, log_probability=None, sha256="before")
    assert locator.locate(written).problem is None


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("none.jpg", "missing", "none.jpg: no such file"),
        ("", "missing", "'': no such file"),
        ("a\0b", "missing", r"a\x00b: no such file"),
        ("photos.tar/a.jpg", "not_a_file", "photos.tar/a.jpg: in an archive, not a file"),
        ("https://a.org/b.jpg", "not_a_file", "https://a.org/b.jpg: an address, not a file"),
        ("folder", "missing", "folder: no such file"),
        (None, "missing", "'': no such file"),
    ],
)
def test_what_is_no_file_is_a_problem_with_a_hint(
    locator: Locator, name: str | None, code: str, message: str
) -> None:
    Path("photos.tar").write_bytes(b"x")
    Path("folder").mkdir()
    problem = locator.locate(record(name)).problem
    assert problem is not None and problem.hint
    assert (problem.code, problem.message) == (code, message)
