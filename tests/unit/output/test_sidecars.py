"""Sidecars: what they hold, what they replace, and what cannot be written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from capgen.errors import DiskFullError, ProtectedFileError, UsageError
from capgen.output.sidecars import Sidecars
from capgen.overwriting import InputFiles
from capgen.records import Caption, Review
from capgen.undo_file import UndoFile

ROOT = Path(__file__).parents[3]
NOBODY = 65534
DOG = Caption(text="a dog", score=-1.0, log_probability=-1.0)
JPEG = b"\xff\xd8\xff\xe0 an image"
POLICIES = ("skip", "overwrite", "append", "prepend")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("skip", "old"),
        ("overwrite", "a dog\n"),
        ("append", "old, a dog"),
        ("prepend", "a dog, old"),
    ],
)
def test_sidecars(tmp_path: Path, policy: str, expected: str) -> None:
    image, sidecar = tmp_path / "a.jpg", tmp_path / "a.txt"
    assert Sidecars("txt", policy).write(image, DOG).written
    assert sidecar.read_text() == "a dog\n"
    sidecar.write_text("old")
    for _ in range(2):  # a repeated run changes nothing
        sidecars = Sidecars(".txt", policy)
        assert sidecars.leaves(image) == (policy == "skip")
        outcome = sidecars.write(image, DOG)
        assert (outcome.problem, outcome.kept) == ("", policy == "skip")
        assert sidecar.read_text() == expected


@pytest.mark.parametrize("suffix", [".txt", ".xmp"])
def test_update_replaces_only_what_capgen_wrote(tmp_path: Path, suffix: str) -> None:
    own, other, accepted = (tmp_path / name for name in ("own.jpg", "other.jpg", "accepted.jpg"))
    cat = replace(DOG, text="a cat")
    review = Review(verdict="accepted", proposed="a cow", caption="a cow")
    undo = UndoFile(tmp_path / "undo.jsonl")
    Sidecars(suffix, undo=undo).write(own, cat)
    Sidecars(suffix, undo=undo).write(accepted, replace(DOG, text="a cow", review=review))
    Sidecars(suffix).write(
        other, replace(DOG, text="a bird")
    )  # the undo file does not know it: somebody's own
    before = {image: Sidecars(suffix).path(image).read_text() for image in (own, other, accepted)}
    sidecars = Sidecars(suffix, "update", undo=UndoFile(tmp_path / "undo.jsonl"))
    assert [sidecars.leaves(image) for image in before] == [False, True, True]
    assert [sidecars.write(image, DOG).kept for image in before] == [False, True, True]
    after = {image: sidecars.path(image).read_text() for image in before}
    assert after == {**before, own: before[own].replace("a cat", "a dog")}


def test_images_do_not_share_a_sidecar(tmp_path: Path) -> None:
    sidecars = Sidecars(".txt", "overwrite")
    assert sidecars.write(tmp_path / "a.jpg", DOG).problem == ""
    problem = sidecars.write(tmp_path / "a.png", DOG).problem
    assert "a.jpg" in problem and "rename one of the two images" in problem


@pytest.mark.parametrize(
    ("suffix", "policy"), [("", "skip"), ("a/b", "skip"), ("a\\b", "skip"), (".txt", "x")]
)
def test_wrong_sidecars(suffix: str, policy: str) -> None:
    with pytest.raises(UsageError):
        Sidecars(suffix, policy)


def test_sidecars_that_are_one_file_where_case_does_not_matter(tmp_path: Path) -> None:
    sidecars = Sidecars(".txt", "overwrite")
    assert sidecars.write(tmp_path / "a.jpg", DOG).problem == ""
    assert sidecars.write(tmp_path / "A.png", DOG).problem == ""  # two files here
    assert sidecars.write(tmp_path / "B.jpg", DOG).problem == ""
    (tmp_path / "b.txt").symlink_to("B.txt")  # as on macOS and Windows
    assert "B.jpg" in sidecars.write(tmp_path / "b.png", DOG).problem


# --- suffixes that are not those of plain text


@pytest.mark.parametrize(
    "suffix",
    [
        *(".jpg", "JPG", ".Jpeg", ".mpo", ".hif", ".txt.jpg", ".dng", ".CR3", ".nef", ".jxl"),
        *(
            ".jpg.xmp",
            ".svg",
            ".psd",
            ".mp4",
            ".mov",
            ".aae",
            ".json",
            ".jsonl",
            ".xml",
            ".html",
            ".csv",
        ),
        *(".tsv", ".parquet", ".pdf", ".zip", ".tar", ".tar.gz", ".db", ".yaml"),
    ],
)
def test_suffixes_of_other_kinds_of_file(suffix: str) -> None:
    with pytest.raises(UsageError, match="the suffix of") as caught:
        Sidecars(suffix, "overwrite")
    assert suffix.lstrip(".") in caught.value.message


@pytest.mark.parametrize("suffix", [".txt", "caption", ".TXT", ".caps", ".jpg.txt", ".tags"])
def test_suffixes_of_plain_text(suffix: str) -> None:
    assert Sidecars(suffix).suffix.endswith(suffix)


# --- what is there


LATIN = "café, tag".encode("cp1252")


@pytest.mark.parametrize("policy", ["append", "prepend"])
@pytest.mark.parametrize(
    ("before", "encoding"),
    [
        (LATIN, "cp1252"),
        (b"\x93quoted\x94\r\n", "cp1252"),
        ("café\r\nzwei\r\n".encode("cp1252"), "cp1252"),
        (b"\xff\xfe" + "café".encode("utf-16-le"), "utf-16-le"),
        (b"\xfe\xff" + "café\r\n".encode("utf-16-be"), "utf-16-be"),
        (b"\xff\xfe\0\0" + "café".encode("utf-32-le"), "utf-32-le"),
        (b"\xef\xbb\xbf" + "café".encode(), "utf-8"),
        ("café\n\nzwei".encode(), "utf-8"),
        (b"\xef\xbb\xbf", "utf-8"),
    ],
)
def test_what_is_there_keeps_its_bytes_and_its_encoding(
    tmp_path: Path, policy: str, before: bytes, encoding: str
) -> None:
    sidecar = tmp_path / "a.txt"
    sidecar.write_bytes(before)
    for _ in range(2):  # a repeated run changes nothing
        assert Sidecars(".txt", policy).write(tmp_path / "a.jpg", DOG).problem == ""
        after = sidecar.read_bytes()
        mark = next(
            (
                m
                for m in (b"\xff\xfe\0\0", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
                if before.startswith(m)
            ),
            b"",
        )
        assert after.startswith(mark)
        old = before[len(mark) :].decode(encoding)
        body = old.rstrip("\r\n")
        if policy == "append":  # the bytes that were there, then the new ones
            assert after.startswith(mark + body.encode(encoding))
        else:
            assert after.endswith(old.encode(encoding))
        text = after[len(mark) :].decode(encoding)
        end = old[len(body) :]
        if not body:
            assert text == "a dog\n"
        else:
            assert text == (f"{body}, a dog{end}" if policy == "append" else f"a dog, {old}")


@pytest.mark.parametrize("policy", ["append", "prepend"])
@pytest.mark.parametrize(
    ("before", "said"),
    [
        (b"\x81 is nothing in cp1252", "known encoding"),
        ("ab".encode("utf-16-le"), "known encoding"),  # no mark
        (b"\xff\xfea", "known encoding"),  # half a letter
        (LATIN, "cp1252 cannot hold"),
    ],
)
def test_what_cannot_be_added_to_is_left_alone(
    tmp_path: Path, policy: str, before: bytes, said: str
) -> None:
    (tmp_path / "a.txt").write_bytes(before)
    record = Caption(text="a 犬", score=-1.0, log_probability=-1.0)
    problem = Sidecars(".txt", policy).write(tmp_path / "a.jpg", record).problem
    assert said in problem and str(tmp_path / "a.txt") in problem
    assert (tmp_path / "a.txt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_caption_is_one_line(tmp_path: Path) -> None:
    record = Caption(text="a\ndog", score=-1.0, log_probability=-1.0)
    for _ in range(2):
        Sidecars(".txt", "append").write(tmp_path / "a.jpg", record)
    assert (tmp_path / "a.txt").read_text() == "a dog\n"


@pytest.mark.parametrize("policy", POLICIES)
def test_a_folder_a_dead_link_and_a_pipe_are_problems_of_their_image(
    tmp_path: Path, policy: str
) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "dead.txt").symlink_to("nowhere")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "null.txt").symlink_to("/dev/null")
    before = sorted(path.name for path in tmp_path.iterdir())
    sidecars = Sidecars(".txt", policy)
    for name, said in (
        ("folder", "folder"),
        ("dead", "link to a file that does not exist"),
        ("loop", "symbolic links"),
        ("pipe", "not a regular file"),
        ("null", "not a regular file"),
    ):
        assert not sidecars.leaves(tmp_path / f"{name}.jpg")
        problem = sidecars.write(tmp_path / f"{name}.jpg", DOG).problem
        assert said in problem and f"{name}.txt" in problem
    assert sidecars.write(tmp_path / "good.jpg", DOG).problem == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "good.txt"])
    assert (tmp_path / "dead.txt").is_symlink() and (tmp_path / "null.txt").is_symlink()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_name_that_is_too_long(tmp_path: Path, policy: str) -> None:
    image = tmp_path / f"{'n' * 250}.jpg"
    image.write_bytes(JPEG)
    sidecars = Sidecars(".caption", policy)
    assert not sidecars.leaves(image)
    sidecars.check([image], [tmp_path / "x.jsonl"])
    assert "File name too long" in sidecars.write(image, DOG).problem
    assert list(tmp_path.iterdir()) == [image]
    # The temporary name is shorter than the sidecar's own.
    assert Sidecars(".txt", policy).write(tmp_path / f"{'é' * 125}.jpg", DOG).problem == ""


def test_a_link_stays_a_link_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old\n")
    (tmp_path / "real.txt").chmod(0o640)
    (tmp_path / "a.txt").symlink_to("real.txt")
    assert Sidecars(".txt", "append").write(tmp_path / "a.jpg", DOG).problem == ""
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "old, a dog\n"
    assert stat.S_IMODE((tmp_path / "real.txt").stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX only")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
import capgen.images.decoders  # messages need it, and nobody may not read our packages
from capgen.output.sidecars import Sidecars
from capgen.records import Caption
record = Caption(text="a dog", score=-1.0, log_probability=-1.0)
for policy in ("skip", "append"):  # imports everything while it may
    Sidecars(".txt", policy).write(Path(sys.argv[1]).with_name("warm.jpg"), record)
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
for policy in ("skip", "overwrite", "append"):
    for name in ("new", "old"):
        print(Sidecars(".txt", policy).write(Path(sys.argv[1], name + ".jpg"), record).problem)
"""
    folder = tmp_path / "readonly"
    folder.mkdir()
    (folder / "old.txt").write_text("old")
    folder.chmod(0o555)
    for parent in tmp_path, *tmp_path.parents[:-1]:
        if parent.owner() == tmp_path.owner() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    result = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    new, old = (f"Not allowed to write {folder / name}" for name in ("new.txt", "old.txt"))
    assert result.stdout.splitlines() == [new, "", new, old, new, old]
    assert (folder / "old.txt").read_text() == "old"


def test_a_full_disk_is_not_the_problem_of_one_image(small_disk: Path) -> None:
    record = Caption(text="x" * 1_000_000, score=-1.0, log_probability=-1.0)
    with pytest.raises(DiskFullError):
        Sidecars(".txt").write(small_disk / "a.jpg", record)
    assert list(small_disk.iterdir()) == []


# --- images and inputs


@pytest.mark.parametrize("policy", ["overwrite", "append", "prepend"])
def test_a_image_is_no_sidecar(tmp_path: Path, policy: str) -> None:
    (tmp_path / "a.orig").write_bytes(JPEG)
    sidecars = Sidecars(".orig", policy)
    with pytest.raises(ProtectedFileError, match=r"a\.orig is a JPEG image"):
        sidecars.check([tmp_path / "b.jpg", tmp_path / "a.jpg"])
    assert "a.orig is a JPEG image" in sidecars.write(tmp_path / "a.jpg", DOG).problem
    assert (tmp_path / "a.orig").read_bytes() == JPEG


@pytest.mark.parametrize("policy", ["overwrite", "append", "prepend"])
@pytest.mark.parametrize("how", ["same", "symlink", "hard link"])
def test_an_input_is_no_sidecar(tmp_path: Path, policy: str, how: str) -> None:
    (tmp_path / "list").write_text("a.jpg\n")
    sidecar = tmp_path / "a.txt"
    if how == "same":
        (tmp_path / "list").rename(sidecar)
    elif how == "symlink":
        sidecar.symlink_to("list")
    else:
        sidecar.hardlink_to(tmp_path / "list")
    read = sidecar if how == "same" else tmp_path / "list"
    sidecars = Sidecars(".txt", policy, inputs=InputFiles([read]))
    with pytest.raises(ProtectedFileError, match=r"a\.txt is an input"):
        sidecars.check([tmp_path / "a.jpg"])
    assert "a.txt is an input" in sidecars.write(tmp_path / "a.jpg", DOG).problem
    assert sidecar.read_text() == "a.jpg\n"


@pytest.mark.parametrize("policy", POLICIES)
def test_a_image_with_the_sidecars_suffix(tmp_path: Path, policy: str) -> None:
    image = tmp_path / "a.txt"
    image.write_bytes(JPEG)
    sidecars = Sidecars(".txt", policy)
    assert not sidecars.leaves(image)
    assert "the image itself" in sidecars.write(image, DOG).problem
    assert image.read_bytes() == JPEG


def test_an_output_is_no_sidecar(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    sidecars = Sidecars(".txt")
    with pytest.raises(ProtectedFileError, match=r"a\.txt is both a sidecar and another output"):
        sidecars.check([tmp_path / "a.jpg"], [tmp_path / "link" / "a.txt"])
    sidecars.check([tmp_path / "a.jpg"], [tmp_path / "b.txt"])


UGLY = "x\x1b[31mRED\n\ry"
SHOWN = r"x\x1b[31mRED\n\ry"


def test_control_characters_of_names_are_escaped_in_problems(tmp_path: Path) -> None:
    folder = tmp_path / UGLY
    folder.mkdir()
    (folder / "folder.txt").mkdir()
    (folder / "dead.txt").symlink_to("nowhere")
    (folder / "photo.txt").write_bytes(JPEG)
    (folder / "half.txt").write_bytes(b"\xff\xfea")
    (folder / "a.xmp").write_bytes(b"no XMP")
    for name in ("folder", "dead", "photo", "half"):
        problem = Sidecars("txt", "append").write(folder / f"{name}.jpg", DOG).problem
        assert problem.isprintable() and f"{SHOWN}/{name}.txt" in problem
    sidecars = Sidecars("txt", "append")
    assert sidecars.write(folder / "b.jpg", DOG).written
    for image in (folder / "b.png", folder / "b.txt"):
        problem = sidecars.write(image, DOG).problem
        assert problem.isprintable() and SHOWN in problem
    problem = Sidecars("xmp", "append").write(folder / "a.jpg", DOG).problem
    assert problem.isprintable() and f"{SHOWN}/a.xmp" in problem


def test_control_characters_of_names_are_escaped_in_refusals(tmp_path: Path) -> None:
    folder = tmp_path / UGLY
    folder.mkdir()
    (folder / "a.txt").write_bytes(JPEG)
    for outputs in ([], [folder / "a.txt"]):
        with pytest.raises(ProtectedFileError) as caught:
            Sidecars("txt", "overwrite").check([folder / "a.jpg"], outputs)
        assert caught.value.message.isprintable() and f"{SHOWN}/a.txt" in caught.value.message
