"""A file of records has one key and one port, so that the browser finds what it kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.errors import UsageError
from capgen.review_page.file_key import file_key, ports
from capgen.review_page.serve import listen


def test_the_same_file_has_the_same_key_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_key(Path("a.jsonl")) == file_key(tmp_path / "b" / ".." / "a.jsonl")
    assert file_key(Path("a.jsonl")) != file_key(Path("b.jsonl"))


def test_ports_are_the_same_each_time_and_free_for_programs() -> None:
    assert ports(Path("a.jsonl")) == ports(Path("a.jsonl"))
    assert ports(Path("a.jsonl")) != ports(Path("b.jsonl"))
    assert all(20_000 <= port < 32_000 for port in ports(Path("a.jsonl")))


def test_a_preferred_port_that_is_taken_gives_way_to_the_next() -> None:
    with listen(0) as first, listen(0) as spare:
        taken, free = first.getsockname()[1], spare.getsockname()[1]
        spare.close()
        with listen(0, [taken, free]) as listening:
            assert listening.getsockname()[1] == free
        with listen(0, [taken]) as anywhere:
            assert anywhere.getsockname()[1] != taken
        with pytest.raises(UsageError):
            listen(taken, [free])
