from __future__ import annotations

from pathlib import Path

import pytest

from capgen.config.toml_files import read_toml
from capgen.errors import UsageError


def test_a_file_of_windows_notepad(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b'\xef\xbb\xbfname = "\xc3\xa4"\r\n')
    assert read_toml(tmp_path / "a.toml") == {"name": "ä"}


def test_a_missing_file_is_empty_only_where_it_may_be_missing(tmp_path: Path) -> None:
    assert read_toml(tmp_path / "a.toml", required=False) == {}
    with pytest.raises(UsageError, match=r"Cannot read the settings in .*No such file"):
        read_toml(tmp_path / "a.toml")


@pytest.mark.parametrize(
    "content",
    [b"beams = ", b"a = '\xff'", b"a = " + b"[" * 50_000, b"a = " + b"{b = " * 50_000],
    ids=["half", "not UTF-8", "lists", "tables"],
)
def test_what_is_not_toml_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"Cannot read the settings in .*a\.toml"):
        read_toml(tmp_path / "a.toml", required=False)
