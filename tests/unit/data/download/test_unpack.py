from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from capgen.config.archives import UnpackLimits
from capgen.data.download.unpack import check_space, unpack
from capgen.errors import DataError, StorageError


def make_zip(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def make_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def special_zip(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def special_tar(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_zip_and_tar_unpack_alike(tmp_path: Path):
    files = {"a/b.txt": b"one", "c.txt": b"two" * 1000}
    make_zip(tmp_path / "a.zip", *files.items(), ("__MACOSX/a/._b.txt", b"x"), ("d/", b""))
    make_tar(tmp_path / "a.tar.gz", *((tarfile.TarInfo(n), d) for n, d in files.items()))
    for name in ("a.zip", "a.tar.gz"):
        into = tmp_path / f"out-{name}"
        assert list(unpack(tmp_path / name, into)) == [(1, 2), (2, 2)]
        assert tree(into) == files
    list(unpack(tmp_path / "a.zip", tmp_path / "some", patterns=("a/*.txt",)))
    assert tree(tmp_path / "some") == {"a/b.txt": b"one"}


HOSTILE_ZIPS = {
    "traversal": ("../evil", "leads out of the folder"),
    "traversal inside": ("a/../../evil", "leads out of the folder"),
    "absolute": ("/tmp/evil", "absolute name"),
    "drive": ("C:/evil", "absolute name"),
    "backslash": ("..\\evil", "not safe"),
    "nul": ("good\0/../evil", "not safe"),
    "link": (special_zip("evil", stat.S_IFLNK | 0o777), "link or a device"),
    "device": (special_zip("evil", stat.S_IFCHR | 0o666), "link or a device"),
    "fifo": (special_zip("evil", stat.S_IFIFO | 0o666), "link or a device"),
    "twice": ("good.txt", "is there twice"),
    "twice but for case": ("GOOD.TXT", "is there twice"),
}


@pytest.mark.parametrize("case", HOSTILE_ZIPS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_zips_are_refused_before_anything_is_written(case: str, tmp_path: Path):
    name, why = HOSTILE_ZIPS[case]
    if (isinstance(name, str) and "\0" in name) or name == "..\\evil":
        # zipfile cleans such names when writing: plant them in the bytes.
        clean = "X" * len(name)
        path = make_zip(tmp_path / "x.zip", ("good.txt", b"fine"), (clean, b"/etc/passwd"))
        path.write_bytes(path.read_bytes().replace(clean.encode(), name.encode()))
    else:
        path = make_zip(tmp_path / "x.zip", ("good.txt", b"fine"), (name, b"/etc/passwd"))
    into = tmp_path / "deep" / "out"
    with pytest.raises(DataError, match=why):
        list(unpack(path, into))
    assert tree(tmp_path) == {"x.zip": path.read_bytes()}


HOSTILE_TARS = {
    "traversal": (special_tar("../evil", tarfile.REGTYPE), "leads out of the folder"),
    "absolute": (special_tar("/tmp/evil", tarfile.REGTYPE), "absolute name"),
    "symlink": (special_tar("evil", tarfile.SYMTYPE, "/etc/passwd"), "link or a device"),
    "hard link": (special_tar("evil", tarfile.LNKTYPE, "good.txt"), "link or a device"),
    "device": (special_tar("evil", tarfile.CHRTYPE), "link or a device"),
    "block device": (special_tar("evil", tarfile.BLKTYPE), "link or a device"),
    "fifo": (special_tar("evil", tarfile.FIFOTYPE), "link or a device"),
    "twice": (special_tar("good.txt", tarfile.REGTYPE), "is there twice"),
}


@pytest.mark.parametrize("case", HOSTILE_TARS)
def test_hostile_tars_are_refused_before_anything_is_written(case: str, tmp_path: Path):
    info, why = HOSTILE_TARS[case]
    path = make_tar(tmp_path / "x.tar.gz", (tarfile.TarInfo("good.txt"), b"fine"), (info, b""))
    with pytest.raises(DataError, match=why):
        list(unpack(path, tmp_path / "deep" / "out"))
    assert tree(tmp_path) == {"x.tar.gz": path.read_bytes()}


def test_bombs_are_refused(tmp_path: Path):
    limits = UnpackLimits(always_allowed=1_000_000)
    bomb = make_zip(tmp_path / "x.zip", ("zeros", b"\0" * 5_000_000))
    with pytest.raises(DataError, match="makes it grow beyond 1 MB"):
        list(unpack(bomb, tmp_path / "out", limits=limits))
    bomb = make_tar(tmp_path / "x.tar.gz", (tarfile.TarInfo("zeros"), b"\0" * 5_000_000))
    with pytest.raises(DataError, match="makes it grow beyond 1 MB"):
        list(unpack(bomb, tmp_path / "out", limits=limits))
    many = make_zip(tmp_path / "y.zip", *((f"{n}", b"") for n in range(20)))
    with pytest.raises(DataError, match="makes it grow"):
        list(unpack(many, tmp_path / "out", limits=UnpackLimits(members=10)))
    assert not (tmp_path / "out").exists()


def test_a_member_that_lies_about_its_size_cannot_grow(tmp_path: Path):
    path = make_zip(tmp_path / "x.zip", ("zeros", b"\0" * 5_000_000))
    size = (5_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (1000).to_bytes(4, "little")))
    with pytest.raises(DataError, match="is damaged"):
        list(unpack(path, tmp_path / "out"))
    assert sum(map(len, tree(tmp_path / "out").values())) <= 1000


def test_damaged_and_encrypted_archives(tmp_path: Path):
    path = make_zip(tmp_path / "x.zip", ("a", os.urandom(10_000)), ("b", b"1"))
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 255]) + whole[201:])
    with pytest.raises(DataError, match=r"x\.zip is damaged: Bad CRC-32"):
        list(unpack(path, tmp_path / "out"))
    path.write_bytes(whole[:-100])
    with pytest.raises(DataError, match="neither a zip nor a tar"):
        list(unpack(path, tmp_path / "out"))
    info = zipfile.ZipInfo("secret")
    make_zip(path, (info, b"data"))
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="is encrypted"):
        list(unpack(path, tmp_path / "out"))


def test_a_method_that_is_not_known(tmp_path: Path):
    """zipfile raises NotImplementedError, which is no fault of the archive's checksum."""
    path = make_zip(tmp_path / "a.zip", ("a.txt", b"x"))
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.index(mark) + offset
        content[place : place + 2] = (98).to_bytes(2, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be unpacked"):
        list(unpack(path, tmp_path / "out"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_zipfile_unpacks_without_bound(tmp_path: Path, method: int):
    """4 KB of bzip2 are gigabytes of zeros, whatever size the header says."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("zeros", bytes(30_000_000))
    size = (30_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (1000).to_bytes(4, "little")))
    tracemalloc.start()
    with pytest.raises(DataError, match=f"its compression \\({method}\\) is not Deflate"):
        list(unpack(path, tmp_path / "out"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_broken_headers_of_zips(tmp_path: Path):
    path = make_zip(tmp_path / "x.zip", ("a", b"1"), ("b", b"2"))
    whole = path.read_bytes()
    start = whole.index(b"PK\x05\x06") + 16  # where the list of members starts
    later = int.from_bytes(whole[start : start + 4], "little") + 9
    path.write_bytes(whole[:start] + later.to_bytes(4, "little") + whole[start + 4 :])
    with pytest.raises(DataError, match="its member 'a' is damaged"):
        list(unpack(path, tmp_path / "out"))
    nameless = bytearray(whole)
    entry = nameless.index(b"PK\x01\x02")
    nameless[entry + 28] = 0
    nameless[entry + 30] = 1  # the name becomes an extra field
    path.write_bytes(nameless)
    with pytest.raises(DataError, match=r"x\.zip is (damaged|refused)"):
        list(unpack(path, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_sparse_files_are_refused(tmp_path: Path):
    path = tmp_path / "x.tar"
    info = tarfile.TarInfo("zeros")
    info.pax_headers = {"GNU.sparse.map": "0,4", "GNU.sparse.size": "50000000"}
    make_tar(path, (info, b"data"))
    with pytest.raises(DataError, match="its member 'zeros' is a sparse file"):
        list(unpack(path, tmp_path / "out"))


def test_existing_files_are_never_overwritten(tmp_path: Path):
    path = make_zip(tmp_path / "x.zip", ("a", b"new"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_bytes(b"old")
    with pytest.raises(DataError, match="a is there twice"):
        list(unpack(path, tmp_path / "out"))
    assert (tmp_path / "out" / "a").read_bytes() == b"old"


def test_space_is_checked_first(tmp_path: Path):
    with pytest.raises(StorageError, match=r"Not enough disk space .* to unpack x\.zip"):
        check_space(tmp_path / "new", 10**18, "unpack x.zip")
    check_space(tmp_path / "new" / "er", 1, "unpack x.zip")


def test_names_that_only_windows_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = make_zip(tmp_path / "a.zip", ("at 10:30.jpg", b"x"))
    assert list(unpack(archive, tmp_path / "here")) == [(1, 1)]
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(DataError, match="a name that Windows does not allow"):
        list(unpack(archive, tmp_path / "there"))
