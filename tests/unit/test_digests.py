from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from capgen.digests import file_digest, files_digest
from capgen.errors import DataError, ModelError


def test_the_digest_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    assert file_digest(file, DataError) == hashlib.sha256(b"abc").hexdigest()
    assert file_digest(file, DataError, "md5") == "900150983cd24fb0d6963f7d28e17f72"


def test_the_digest_of_several_depends_on_content_and_order_only(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    for file, content in ((a, b"1"), (b, b"2"), (c, b"1")):
        file.write_bytes(content)
    inner = [hashlib.sha256(content).digest() for content in (b"1", b"2")]
    expected = hashlib.sha256(b"".join(inner)).hexdigest()
    assert files_digest([a, b], DataError) == files_digest([c, b], DataError) == expected
    assert files_digest([b, a], DataError) != expected


@pytest.mark.parametrize("fault", [DataError, ModelError])
def test_what_cannot_be_read_is_the_callers_error(
    tmp_path: Path, fault: type[DataError | ModelError]
) -> None:
    with pytest.raises(fault, match=r"Cannot read .*gone: No such file"):
        file_digest(tmp_path / "gone", fault)
