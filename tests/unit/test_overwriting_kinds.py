"""Files of other programs are recognised before an output replaces, extends or removes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.captioning.batch.journal import Journal
from capgen.errors import ProtectedFileError
from capgen.overwriting import (
    OWN_JOURNAL,
    OWN_MANIFEST,
    OWN_UNDO,
    TEXT_OR_DATA,
    Content,
    check_output,
)

RECORD = b'{"schema_version": 1, "path": "a.jpg", "caption": "a dog"}\n'
UNDO = b'{"schema_version": 1, "path": "/a.jpg", "sha256_before": "ab", "parts": []}\n'
MANIFEST = b'{"schema_version": 1, "kind": "capgen-dataset", "name": "mine"}\n'
FOREIGN_JSON = json.dumps({"name": "mine", "version": 3}, indent=1).encode()
BINARY = {
    "a.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "a.mov": b"\0\0\0\x08moov" + bytes(600),
    "a.mp3": b"ID3\x03\0\0" + bytes(600),
    "a.crw": b"II\x1a\0\0\0HEAPCCDR" + bytes(600),
    "a.tga": bytes(2) + b"\x02" + bytes(600),
    "a.safetensors": b"\x40\0\0\0\0\0\0\0{}",
    "a.npy": b"\x93NUMPY\x01\0" + bytes(100),
    "a.db": b"\x01\x02\x03" * 99,
    "a.rtf": b"{\\rtf1 my only letter}",
    "a.eps": b"some postscript without its mark",
}


def refused(path: Path, replaces: Content) -> bool:
    before = path.read_bytes()
    try:
        check_output(path, replaces)
    except ProtectedFileError:
        assert path.read_bytes() == before
        return True
    return False


@pytest.mark.parametrize("name", BINARY)
def test_videos_documents_and_other_binary_files_are_never_replaced(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(BINARY[name])
    assert refused(tmp_path / name, TEXT_OR_DATA)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"path,caption\n"),
        ("a.json", FOREIGN_JSON),
        ("a.jsonl", RECORD),
        ("a.txt", "B\u00e4r\n".encode()),
        ("a.html", b"<!doctype html><p>"),
        ("a.parquet", b"PAR1" + bytes(50)),
        ("a.log", b"2026-01-01 00:00:00,000 INFO x: y\n"),
    ],
)
def test_text_and_data_may_be_replaced(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert not refused(tmp_path / name, TEXT_OR_DATA)


def test_an_undo_file_is_never_replaced_by_captions(tmp_path: Path) -> None:
    (tmp_path / "capgen-undo.jsonl").write_bytes(UNDO)
    with pytest.raises(ProtectedFileError, match="is an undo file"):
        check_output(tmp_path / "capgen-undo.jsonl", TEXT_OR_DATA)


@pytest.mark.parametrize(
    "replaces", [OWN_JOURNAL, OWN_UNDO, OWN_MANIFEST], ids=lambda kind: kind.name
)
def test_own_kinds_of_lines_are_told_apart(replaces: Content, tmp_path: Path) -> None:
    own = {OWN_JOURNAL: RECORD, OWN_UNDO: UNDO, OWN_MANIFEST: MANIFEST}
    for kind, content in own.items():
        file = tmp_path / "file"
        file.write_bytes(content)
        assert refused(file, replaces) == (kind is not replaces)
        # What a power cut leaves of the first line may be any of them.
        for left in (content[:7], content[:25], bytes(40), content[:20] + bytes(30)):
            file.write_bytes(left)
            assert not refused(file, replaces)


@pytest.mark.parametrize(
    "replaces", [OWN_JOURNAL, OWN_UNDO, OWN_MANIFEST], ids=lambda kind: kind.name
)
@pytest.mark.parametrize(
    "foreign",
    [
        FOREIGN_JSON,
        b"{\n",
        b"\n\n{}",
        bytes(1100) + b"data",
        b'{"schema_version": 2, "settings": {}}\n',
        b"plain text\n",
    ],
)
def test_foreign_files_are_not_taken_for_capgens_lines(
    replaces: Content, foreign: bytes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(foreign)
    assert refused(tmp_path / "file", replaces)


def test_a_foreign_journal_is_neither_deleted_nor_cut(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl.journal"
    path.write_bytes(FOREIGN_JSON)
    with pytest.raises(ProtectedFileError):
        Journal(path, "m", "r", {}, fresh=True)
    assert path.read_bytes() == FOREIGN_JSON
