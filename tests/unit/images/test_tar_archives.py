from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from capgen.captioning.batch.sources import FailedSource, Source
from capgen.captioning.batch.tar_shards import read_shard
from capgen.config import ImageLimits
from capgen.config.archives import UnpackLimits
from capgen.data.download.unpack import opened
from capgen.errors import DataError, ImageError
from capgen.images.tar_archives import open_tar

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def member(name: str, data: bytes = b"picture") -> bytes:
    return header(name, len(data)) + padded(data)


def record(key: str, value: str) -> bytes:
    """Return one record of a pax header: its length counts its own digits."""
    rest = f" {key}={value}\n"
    total = len(rest) + len(str(len(rest)))
    total = len(rest) + len(str(total))
    return f"{total}{rest}".encode()


def pax(body: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return header("pax", len(body), kind) + padded(body)


def old_sparse(name: str) -> bytes:
    """Return a header of GNU tar's first sparse format that announces more of its map."""
    block = bytearray(header(name, 4, tarfile.GNUTYPE_SPARSE))
    block[482] = 1
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * ord(" ") + sum(block[156:]))
    return bytes(block)


def sources(path: Path, limits: ImageLimits | None = None) -> list[Source]:
    return list(read_shard(path, limits or ImageLimits(), lambda name: True))


def code(source: Source) -> str:
    assert isinstance(source, FailedSource)
    return source.error.code


def within(seconds: float, work: Callable[[], object]) -> None:
    """Run what once took for ever in a thread that a failing test leaves behind."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "still at it"
    if failed:
        raise failed[0]


# What cannot be read further: the image before it comes, then one failure.
BROKEN = {
    "size that never comes": pax(record("size", "9" * 30)) + member("b.txt"),
    "size that goes back": pax(record("size", str(-3 * BLOCK))) + member("b.txt"),
    "header of 8 GB": header("pax", 2**33 - 1, tarfile.XHDTYPE) + padded(b"10 a=bbbb\n"),
    "name of 8 GB": header("name", 2**33 - 1, tarfile.GNUTYPE_LONGNAME) + member("b.jpg"),
    "long number": pax(b"1" * 9000) + member("b.jpg"),
    "records within records": pax(b"2 " * 2000 + b"=\n") + member("b.jpg"),
    "chain of headers": pax(b"10 a=bbbb\n") * 1000 + member("b.jpg"),
    "map that breaks off": old_sparse("b.jpg"),
    "common attributes": pax(b"".join(record(f"a{n}", "x") for n in range(200)), tarfile.XGLTYPE)
    + member("b.jpg"),
    "checksum": member("b.jpg").replace(b"b.jpg", b"c.jpg"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_archive_is_read_up_to_what_is_broken(tmp_path: Path, case: str) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(member("a.jpg") + BROKEN[case] + member("z.jpg") + END)

    def read() -> None:
        good, bad = sources(path)
        assert good.read(ImageLimits(), Event()) == b"picture"
        assert (bad.name, code(bad)) == (str(path), "unreadable")
        with pytest.raises(DataError, match=r"s\.tar is (damaged|refused)"), opened(path):
            pass

    within(30, read)


SPARSE = {
    "0.0": record("GNU.sparse.size", "300000000") + record("GNU.sparse.numblocks", "1"),
    "0.1": record("GNU.sparse.map", "0,4") + record("GNU.sparse.size", "300000000"),
    "0.1, broken": record("GNU.sparse.map", "0,abc") + record("GNU.sparse.size", "10"),
    "1.0, broken": (
        record("GNU.sparse.major", "1")
        + record("GNU.sparse.minor", "0")
        + record("GNU.sparse.realsize", "300000000")
    ),
}


@pytest.mark.parametrize("case", SPARSE)
def test_sparse_files_are_failures_and_the_others_are_read(tmp_path: Path, case: str) -> None:
    path = tmp_path / "s.tar"
    sparse = pax(SPARSE[case]) + member("b.jpg", b"\xff\xd8\xff\xe0")
    path.write_bytes(member("a.jpg") + sparse + member("z.jpg") + END)
    first, bad, last = sources(path)
    assert (bad.name, code(bad)) == (f"{path}/b.jpg", "unsupported")
    assert [s.read(ImageLimits(), Event()) for s in (first, last)] == [b"picture"] * 2
    passed: list[str] = []
    with opened(path, on_refused=lambda m: passed.append(f"{m.name} {m.fault}")) as members:
        assert [m.name for m in members] == ["a.jpg", "z.jpg"]
        assert [m.open().read(100) for m in members] == [b"picture"] * 2
    assert passed == ["b.jpg is a sparse file"]
    with pytest.raises(DataError, match=r"its member 'b\.jpg' is a sparse file"), opened(path):
        pass


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("method", COMPRESSED)
def test_what_grows_beyond_measure_is_not_read(tmp_path: Path, method: str) -> None:
    path = tmp_path / "s.tar"
    names = [f"{n}.jpg" for n in range(60)]
    content = b"".join(member(name, bytes(1_000_000)) for name in names)
    path.write_bytes(COMPRESSED[method](content + END))
    limits = UnpackLimits(always_allowed=5_000_000, ratio=1)
    tracemalloc.start()
    with pytest.raises(tarfile.ReadError, match="grows beyond 5 MB"), open_tar(path, limits) as tar:
        read = [len(tar.open(info).read(100)) for info in tar]
        assert not read
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
    with open_tar(path, UnpackLimits()) as tar:
        assert [info.name for info in tar] == names


def test_a_member_that_grows_beyond_measure_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(gzip.compress(member("a.jpg", bytes(20_000_000))))
    with open_tar(path, UnpackLimits(always_allowed=5_000_000, ratio=1)) as tar:
        file = tar.open(next(iter(tar)))
        with pytest.raises(tarfile.ReadError, match="grows beyond 5 MB"):
            for _ in range(30):
                file.read(1_000_000)


def test_empty_members_count_too(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(gzip.compress(member("a.txt", b"") * 20_000))
    limits = UnpackLimits(always_allowed=5_000_000, ratio=1)
    with pytest.raises(tarfile.ReadError, match="grows beyond 5 MB"), open_tar(path, limits) as tar:
        assert len(list(tar)) < 10_000


def test_what_is_too_long_is_not_unpacked_to_be_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(gzip.compress(header("a.jpg", 20_000_000) + bytes(20_000_000)))
    limits = UnpackLimits(always_allowed=5_000_000, ratio=1)
    monkeypatch.setattr(gzip.GzipFile, "seek", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(tarfile.ReadError, match="grows beyond 5 MB"), open_tar(path, limits) as tar:
        assert [info.name for info in tar] == ["a.jpg"]


def test_long_headers_are_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(gzip.compress(member("a.jpg") + pax(bytes(40_000_000)) + member("b.jpg")))
    tracemalloc.start()
    found = sources(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code(found[-1]) == "unreadable"
    assert (len(found), peak < 5_000_000) == (2, True)


@pytest.mark.parametrize("method", COMPRESSED)
def test_damage_of_what_is_compressed(tmp_path: Path, method: str) -> None:
    path = tmp_path / "s.tar"
    whole = COMPRESSED[method](b"".join(member(f"{n}.jpg", bytes([n] * 999)) for n in range(99)))
    path.write_bytes(whole[: len(whole) // 2])
    assert code(sources(path)[-1]) == "unreadable"
    path.write_bytes(whole[:20] + bytes(200) + whole[220:])
    assert code(sources(path)[-1]) == "unreadable"


def test_common_attributes_and_long_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    name = "é" * 40 + "/d" * 300 + "/a.jpg"
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        common = {"comment": "0" * 40}
        with tarfile.open(path, "w", format=kind, pax_headers=common) as archive:
            info = tarfile.TarInfo(name)
            info.mtime, info.size = 1.5, 7
            archive.addfile(info, io.BytesIO(b"picture"))
        (source,) = sources(path)
        assert source.name == f"{path}/{name}"
        assert source.read(ImageLimits(), Event()) == b"picture"


def test_an_archive_without_an_end_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(member("a.jpg") + member("b.jpg"))
    assert [source.read(ImageLimits(), Event()) for source in sources(path)] == [b"picture"] * 2


def test_the_size_of_a_member_is_looked_at_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(header("a.jpg", 10**9) + member("b.jpg") + END)
    found = sources(path, ImageLimits(max_bytes=1000))
    assert [code(source) for source in found] == ["too_large", "unreadable"]
    with pytest.raises(ImageError, match=r"1,000,000,000 bytes exceed the limit of 1,000"):
        found[0].read(ImageLimits(), Event())


def test_a_pipe_is_read_front_to_back(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    os.mkfifo(path)
    content = member("a.jpg") + member("b.txt", bytes(999_999)) + member("c.jpg") + END
    threading.Thread(target=path.write_bytes, args=(content,), daemon=True).start()

    def read() -> None:
        found = [source.read(ImageLimits(), Event()) for source in sources(path)]
        assert found == [b"picture"] * 2

    within(30, read)
