"""What names become: files, folders, patterns, lists, manifests, archives."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from threading import Event

import pytest

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.sources import FailedSource, Source, UrlSource
from capgen.config import ImageLimits, InputOptions
from capgen.errors import DataError, ImageError
from tests.colours import plain, plains

LIMITS = ImageLimits()


def sources(*names: str | Path, stdin: bytes | None = None, manifest=None, **options):
    stream = None if stdin is None else io.BytesIO(stdin)
    return list(
        Inputs([str(n) for n in names], InputOptions(**options), manifest=manifest, stdin=stream)
    )


def names(found: list[Source]) -> list[str]:
    return [Path(source.name).name for source in found]


def fault(source: Source) -> ImageError:
    with pytest.raises(ImageError) as caught:
        source.read(LIMITS, Event())
    return caught.value


def test_files_and_folders(tmp_path: Path) -> None:
    plains(tmp_path / "a", 2)
    plain(tmp_path / "a" / "sub", "x.png", 1)
    assert names(sources(tmp_path / "a")) == ["000.png", "001.png"]
    assert names(sources(tmp_path / "a", recursive=True)) == ["000.png", "001.png", "x.png"]
    inputs = Inputs([str(tmp_path / "a"), str(tmp_path / "a" / "000.png"), "gone.jpg"])
    assert inputs.total == 4
    assert names(list(inputs)) == ["000.png", "001.png", "000.png", "gone.jpg"]
    assert fault(list(inputs)[-1]).code == "missing"
    (tmp_path / "empty").mkdir()
    (source,) = sources(tmp_path / "empty")
    assert fault(source).code == "empty"


def test_include_and_exclude(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "thumbs/a.png", "thumbs/c.png"):
        plain(tmp_path, name.replace("jpg", "png"), 1).rename(tmp_path / name)
    found = names(sources(tmp_path, recursive=True, include=("*.png",)))
    assert found == ["a.png", "a.png", "c.png"]
    found = names(sources(tmp_path, recursive=True, exclude=("thumbs/*", "b.*")))
    assert found == ["a.png"]
    # What was named itself is taken whatever the patterns say.
    assert names(sources(tmp_path / "b.jpg", exclude=("*",))) == ["b.jpg"]


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("p/2.png", "p/10.png", "p/q/r.png", "p/note.txt", "p/.hidden.png"):
        plain(tmp_path, "x.png", 1)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x.png").rename(tmp_path / name)
    assert names(sources("p/*")) == ["2.png", "10.png"]
    assert names(sources("~/p/**/*.png")) == ["2.png", "10.png", "r.png"]
    assert names(sources("~/p/2.png")) == ["2.png"]
    assert fault(sources("p/*.gif")[0]).code == "missing"
    # A file that is called like a pattern is itself.
    plain(tmp_path, "[12].png", 1)
    assert names(sources("[12].png")) == ["[12].png"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    plain(tmp_path / "a", "x.png", 1)
    (tmp_path / "a" / "again").symlink_to("..")
    assert names(sources(tmp_path, recursive=True)) == ["x.png"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_list_on_stdin(tmp_path: Path, ending: str) -> None:
    paths = [str(path) for path in plains(tmp_path, 3)]
    found = sources("-", stdin=(ending.join([*paths, "", "https://a.b/c.jpg"])).encode())
    assert [source.name for source in found] == [*paths, "https://a.b/c.jpg"]
    assert isinstance(found[-1], UrlSource)


def test_credentials_of_an_address_are_not_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("image\nhttps://me:secret@a.b/c.jpg\n")
    for found in (
        sources("https://me:secret@a.b/c.jpg"),
        sources("-", stdin=b"https://me:secret@a.b/c.jpg"),
        sources(manifest=tmp_path / "m.csv"),
    ):
        (source,) = found
        assert source.name == source.label == "https://a.b/c.jpg"
        assert isinstance(source, UrlSource) and source.address == "https://me:secret@a.b/c.jpg"


def test_an_empty_list_on_stdin_is_not_counted() -> None:
    assert Inputs(["-"], stdin=io.BytesIO()).total is None


def test_names_of_any_bytes_between_nulls(tmp_path: Path) -> None:
    odd = [b"a\nb.jpg", b"caf\xe9.jpg", b"\xff\xd8\xff.jpg", b" x "]
    found = sources("-", stdin=b"\0".join(odd) + b"\0", null_separated=True)
    assert [os.fsencode(source.name) for source in found] == odd


def test_a_long_list_is_read_as_it_comes() -> None:
    class Slow(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            self.given += 1
            line = b"photo-%06d.jpg\nphoto-" % self.given
            buffer[: len(line)] = line
            return len(line)

    stream = io.BufferedReader(Slow())
    inputs = iter(Inputs(["-"], stdin=stream))
    assert [next(inputs).name for _ in range(2)] == ["photo-000001.jpg", "photo-photo-000002.jpg"]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_image_on_stdin(tmp_path: Path, file_format: str) -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), (1, 2, 3)).save(buffer, file_format)
    (source,) = sources("-", stdin=buffer.getvalue())
    assert (source.name, source.read(LIMITS, Event())) == ("-", buffer.getvalue())


# --- manifests


def test_csv_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text('\ufeffid,image\n1,a.jpg\n2,"b, ""c"".jpg"\n3,/abs/d.jpg\n4,\n5\n')
    found = sources(manifest=manifest)
    expected = [str(tmp_path / "a.jpg"), str(tmp_path / 'b, "c".jpg'), "/abs/d.jpg"]
    assert [source.name for source in found[:3]] == expected
    assert [fault(source).code for source in found[3:]] == ["malformed"] * 2
    assert found[3].name == f"{manifest}:5"
    assert len(sources(manifest=manifest, path_column="id")) == 5


def test_jsonl_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "list.jsonl"
    manifest.write_text('{"path": "a.jpg"}\n\nnonsense\n[1]\n{"path": 3}\n{"path": "b.jpg"}\n')
    found = sources(manifest=manifest)
    assert [isinstance(source, FailedSource) for source in found] == [False, *[True] * 3, False]
    assert fault(found[1]).message.startswith(f"{manifest}:3: ")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", "a,b\n1,2\n", "no column of images"),
        ("x.csv", "", "no column"),
        ("x.jsonl", "", "no column"),
        ("x.xml", "", "manifest must be"),
        ("gone.csv", None, "Cannot read"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=words):
        sources(manifest=tmp_path / name)
    if words.startswith("no column of"):
        with pytest.raises(DataError, match="no column 'c'"):
            sources(manifest=tmp_path / name, path_column="c")


# --- archives


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz", "s.tgz"])
def test_a_shard(tmp_path: Path, name: str) -> None:
    image = plain(tmp_path, "x.png", 1).read_bytes()
    members = {"0001.png": image, "0001.txt": b"text", "../0002.png": image, "._a.png": b""}
    path = shard(tmp_path / name, members)
    found = sources(path)
    assert [source.name for source in found] == [f"{path}/0001.png", f"{path}/../0002.png"]
    assert found[0].read(LIMITS, Event()) == image
    assert found[0].file is None
    assert names(sources(path, include=("*2*",))) == ["0002.png"]


def test_a_damaged_shard_gives_what_it_has(tmp_path: Path) -> None:
    image = plain(tmp_path, "x.png", 1).read_bytes()
    path = shard(tmp_path / "s.tar", {f"{n}.png": image * 20 for n in range(9)})
    path.write_bytes(path.read_bytes()[:7000])
    *good, bad = sources(path)
    assert 0 < len(good) < 9
    assert (bad.name, fault(bad).code) == (str(path), "unreadable")
    path.write_bytes(b"this is no archive" * 100)
    assert [fault(source).code for source in sources(path)] == ["unreadable"]
    shard(path, {"a.txt": b""})
    assert [fault(source).code for source in sources(path)] == ["empty"]


def test_large_members_are_not_read(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", {"a.png": bytes(100), "b.png": bytes(5)})
    found = list(Inputs([str(path)], limits=ImageLimits(max_bytes=50)))
    assert fault(found[0]).code == "too_large"
    assert found[1].read(LIMITS, Event()) == bytes(5)


def test_lists_from_windows(tmp_path: Path) -> None:
    plain(tmp_path / "photos", "a.png", 1)
    found = sources("-", stdin="\ufeffcafé.png\r\nb.png\r\n".encode())
    assert [source.name for source in found] == ["café.png", "b.png"]
    (tmp_path / "list.csv").write_text("image\r\nphotos\\a.png\r\n", newline="")
    (source,) = sources(manifest=tmp_path / "list.csv")
    assert source.name == str(tmp_path / "photos" / "a.png")
    odd = tmp_path / "photos\\a.png"  # here the backslash may be part of a name
    odd.write_bytes(b"")
    (source,) = sources(manifest=tmp_path / "list.csv")
    assert source.name == str(odd)


def test_patterns_ignore_case_as_folders_do(tmp_path: Path) -> None:
    for name in ("A.JPG", "b.jpg", "c.png"):
        plain(tmp_path, name, 1)
    assert names(sources(tmp_path, include=("*.jpg",))) == ["A.JPG", "b.jpg"]
    assert names(sources(tmp_path, include=("*.JPG",))) == ["A.JPG", "b.jpg"]
    assert names(sources(tmp_path, exclude=("a*",))) == ["b.jpg", "c.png"]


def test_what_named_folders_hold_besides_is_counted_together(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        plain(tmp_path / folder, "a.jpg", 1)
        (tmp_path / folder / "b.jxl").touch()
    inputs = Inputs([str(tmp_path / "one"), str(tmp_path / "two"), str(tmp_path / "one" / "a.jpg")])
    assert inputs.passed_over() == {".jxl files": 2}
    assert Inputs([str(tmp_path / "nowhere"), "", "-"], stdin=io.BytesIO()).passed_over() == {}


def test_an_empty_folder_advises_subfolders_only_where_there_are_some(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.nef").touch()
    (outer,), (inner,) = sources(tmp_path), sources(tmp_path / "raw")
    assert isinstance(outer, FailedSource) and isinstance(inner, FailedSource)
    assert outer.error.hint == "Use --recursive to include subfolders."
    assert "no images" in inner.error.message and inner.error.hint == ""
