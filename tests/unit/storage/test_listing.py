"""What a folder in a store holds: pages of S3, folders of others."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from itertools import islice
from os import environ

import fsspec
import pytest

from capgen.images.folders import natural_key
from capgen.storage.attempts import StoreError
from capgen.storage.listing import list_objects
from tests.s3_server import Faults, S3Server

NAMES = ["a10.jpg", "a2.jpg", "b/c.jpg", "b/d/e.jpg", "b.jpg", "other/f.jpg"]


def names(address: str, *, recursive: bool = True, stem: str = "") -> list[str]:
    listed = list_objects(address, recursive=recursive, stem=stem, order=natural_key)
    return [name for name, _ in listed]


def test_s3_lists_in_the_order_of_bytes(s3_server: S3Server) -> None:
    s3_server.fill("bucket", {f"photos/{name}": b"x" for name in NAMES} | {"photos/": b""})

    assert names("s3://bucket/photos") == sorted(NAMES)
    assert names("s3://bucket/photos/", recursive=False) == ["a10.jpg", "a2.jpg", "b.jpg"]
    assert names("s3://bucket/photos/", stem="b") == ["b.jpg", "b/c.jpg", "b/d/e.jpg"]
    assert names("s3://bucket", stem="photos/a") == ["photos/a10.jpg", "photos/a2.jpg"]
    assert names("s3://bucket/nothing") == []


def test_other_stores_list_in_natural_order() -> None:
    store = fsspec.filesystem("memory")
    for name in NAMES:
        store.pipe_file(f"/listed/{name}", b"xy")
    try:
        order = ["a2.jpg", "a10.jpg", "b/c.jpg", "b/d/e.jpg", "b.jpg", "other/f.jpg"]
        assert names("memory://listed") == order
        assert names("memory://listed/", recursive=False) == ["a2.jpg", "a10.jpg", "b.jpg"]
        assert names("memory://listed", stem="b/") == ["b/c.jpg", "b/d/e.jpg"]
    finally:
        store.rm("/listed", recursive=True)


def test_pages_are_asked_for_as_needed(s3_server: S3Server) -> None:
    s3_server.fill("bucket", {})
    _fill_quickly("bucket", 2_500)
    s3_server.requests.clear()

    listed = list_objects("s3://bucket/", recursive=True)
    first = list(islice(listed, 10))
    asked = s3_server.requests["GET"]
    rest = list(listed)

    assert len(first) + len(rest) == 2_500
    assert len({name for name, _ in (*first, *rest)}) == 2_500
    assert (asked, s3_server.requests["GET"]) == (1, 3)


def test_a_list_that_breaks_off_is_an_error(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from capgen.storage import attempts

    monkeypatch.setattr(attempts, "_PATIENCE", -1.0)
    s3_server.fill("bucket", {})
    _fill_quickly("bucket", 1_100)
    s3_server.faults = Faults(
        each=lambda method, path: "SlowDown" if "continuation-token" in path else None
    )
    listed = list_objects("s3://bucket/", recursive=True)

    assert len(list(islice(listed, 1_000))) == 1_000
    with pytest.raises(StoreError, match="does not answer"):
        next(listed)


def _fill_quickly(bucket: str, number: int) -> None:
    """Put objects into moto's memory: requests would take seconds."""
    from moto.s3.models import s3_backends

    backend = s3_backends["123456789012"]["aws"]
    for each in range(number):
        backend.put_object(bucket, f"{each:05}.jpg", b"x")


def test_a_fork_has_a_file_system_of_its_own(s3_server: S3Server) -> None:
    s3_server.fill("bucket", {"a.bin": b"content"})
    program = """
        import os
        from capgen.storage.reading import read_object
        read = lambda: read_object("s3://bucket/a.bin", 100)
        assert read() == b"content"
        child = os.fork()
        if child == 0:
            os._exit(0 if read() == b"content" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert read() == b"content"
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60, env={**environ}
    )
