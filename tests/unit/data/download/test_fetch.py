"""Fetching side by side: what goes wrong in a thread reaches the caller."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.data.download import fetch
from capgen.data.download.fetch import Job, fetch_all
from capgen.data.download.mirrors import Offer
from capgen.data.download.transfer import TransferOptions
from capgen.errors import NetworkError

QUICK = TransferOptions(attempts=1, timeout=0.5, first_wait=0.01, longest_wait=0.05)


def jobs(folder: Path) -> list[Job]:
    offer = Offer(url="http://127.0.0.1:9/a.zip")
    return [Job(path=folder / name, offers=[offer]) for name in ("a.zip", "b.zip")]


def test_a_bug_in_a_thread_reaches_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Path:
        raise ZeroDivisionError

    monkeypatch.setattr(fetch, "transfer", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        list(fetch_all(jobs(tmp_path), QUICK))
    assert "broken" in [entry.name for entry in caught.traceback]


def test_a_fault_of_the_network_keeps_its_message(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="gave up after 1 tries"):
        list(fetch_all(jobs(tmp_path), QUICK))
