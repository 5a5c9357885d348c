"""The writer of a part."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from capgen.distributed.caption_parts import PartsRun, PartWriter
from capgen.distributed.plan import Part
from capgen.distributed.vouchers import PartDone


class Folder:
    """A folder of parts that keeps nothing."""

    format = "jsonl"

    def file_of(self, part: Part) -> str:
        return "part-00000.jsonl"

    def commit(self, part: Part, file: Path, done: PartDone) -> PartDone:
        assert file.exists()
        return done


def test_ctrl_c_while_its_file_is_removed_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    remove = shutil.rmtree

    def until_ctrl_c(folder: Path, ignore_errors: bool) -> None:
        remove(folder)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", until_ctrl_c)
    part = Part(number=0, units=(), positions=(), digest=b"")
    writer = PartWriter(part, Folder(), PartsRun())
    with pytest.raises(KeyboardInterrupt):
        writer.commit()
    writer.abandon()
    assert not list(tmp_path.iterdir())
