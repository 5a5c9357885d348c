"""Objects of a store: read whole, in pieces, with faults; downloaded, uploaded."""

from __future__ import annotations

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from capgen.errors import StorageError, UsageError
from capgen.storage import attempts, reading
from capgen.storage.attempts import StoreError, attempt
from capgen.storage.drivers import open_store, same_object
from capgen.storage.reading import (
    StoredFile,
    as_local,
    is_object,
    object_size,
    open_object,
    read_object,
    upload,
)
from tests.s3_server import SECRET, Faults, S3Server


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(attempt, "__kwdefaults__", {"stop": None, "waits": (0.0,) * 4})


def test_an_object_is_read_with_one_request(s3_server: S3Server) -> None:
    s3_server.fill("bucket", {"a.bin": b"content", "empty.bin": b""})
    s3_server.requests.clear()

    assert read_object("s3://bucket/a.bin", 100) == b"content"

    assert s3_server.requests == {"GET": 1}
    assert read_object("s3://bucket/empty.bin", 100) == b""


def test_of_a_large_object_one_byte_more_than_asked_is_read(s3_server: S3Server) -> None:
    s3_server.fill("bucket", {"a.bin": b"x" * 1000})

    assert len(read_object("s3://bucket/a.bin", 10)) == 11


@pytest.mark.parametrize("address", ["s3://bucket/none.bin", "s3://no-bucket/none.bin"])
def test_what_is_missing(s3_server: S3Server, address: str) -> None:
    s3_server.fill("bucket", {})

    with pytest.raises(StoreError, match="no such file") as raised:
        read_object(address, 10)

    assert raised.value.fault == "missing"
    assert isinstance(raised.value, StorageError)
    assert not is_object(address)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("code", ["SlowDown", "InternalError"])
def test_faults_that_pass_are_tried_again(s3_server: S3Server, code: str) -> None:
    s3_server.fill("bucket", {"a.bin": b"content"})
    faults = [code, code]
    s3_server.faults = Faults(each=lambda method, path: faults.pop() if faults else None)

    assert read_object("s3://bucket/a.bin", 100) == b"content"
    assert not faults


@pytest.mark.usefixtures("quick")
def test_broken_connections_are_tried_again(s3_server: S3Server) -> None:
    s3_server.fill("bucket", {f"{number}.bin": b"%d" % number for number in range(30)})
    s3_server.faults = Faults(share=0.3)

    contents = [read_object(f"s3://bucket/{number}.bin", 100) for number in range(30)]

    assert contents == [b"%d" % number for number in range(30)]
    assert s3_server.failed > 3  # one of them a broken connection


@pytest.mark.parametrize(
    ("code", "fault"), [("AccessDenied", "permission"), ("ExpiredToken", "login")]
)
def test_refusals_are_not_tried_again(s3_server: S3Server, code: str, fault: str) -> None:
    s3_server.fill("bucket", {"a.bin": b"content"})
    s3_server.requests.clear()
    s3_server.faults = Faults(each=lambda method, path: code)

    with pytest.raises(StoreError) as raised:
        read_object("s3://bucket/a.bin", 100)

    assert raised.value.fault == fault
    assert SECRET not in str(raised.value)
    assert s3_server.requests == {"GET": 1}


@pytest.mark.usefixtures("quick")
def test_a_fault_that_stays_ends_as_one(s3_server: S3Server) -> None:
    s3_server.fill("bucket", {"a.bin": b"content"})
    s3_server.faults = Faults(each=lambda method, path: "SlowDown")

    with pytest.raises(StoreError, match="does not answer") as raised:
        read_object("s3://bucket/a.bin", 100)

    assert raised.value.fault == "passing"


def test_nothing_is_tried_again_once_patience_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_PATIENCE", -1.0)
    tried = []

    def action() -> None:
        tried.append(1)
        raise TimeoutError

    with pytest.raises(StoreError):
        attempt("s3://bucket/a", action)

    assert tried == [1]


def test_nothing_is_tried_again_after_stop() -> None:
    stop, tried = Event(), []

    def action() -> None:
        tried.append(1)
        stop.set()
        raise TimeoutError

    with pytest.raises(StoreError):
        attempt("s3://bucket/a", action, stop=stop, waits=(600.0,))

    assert tried == [1]


def test_messages_have_no_credentials() -> None:
    def action() -> None:
        raise TimeoutError("no answer from sftp://me:secret@host/a")

    with pytest.raises(StoreError, match="no answer from sftp://host/a") as raised:
        attempt("sftp://me:secret@host/a", action, waits=())

    assert "secret" not in str(raised.value)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_a_file_is_read_in_pieces(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 40
    s3_server.fill("bucket", {"a.bin": data})
    monkeypatch.setattr(reading, "_PIECE_BYTES", 1000)

    with StoredFile("s3://bucket/a.bin") as file:
        first = file.read(10)
        file.seek(5000)
        middle = file.read(10)
        file.seek(-3, 2)
        last = file.read(10)
    with open_object("s3://bucket/a.bin") as whole:
        assert whole.read() == data

    assert (first, middle, last) == (data[:10], data[5000:5010], data[-3:])
    assert object_size("s3://bucket/a.bin") == len(data)


def test_files_are_uploaded_whole(s3_server: S3Server, tmp_path: Path) -> None:
    s3_server.fill("bucket", {})
    (tmp_path / "a.txt").write_bytes(b"content")

    upload(tmp_path / "a.txt", "s3://bucket/below/a.txt")

    assert s3_server.content("bucket", "below/a.txt") == b"content"
    with as_local("s3://bucket/below/a.txt") as copy:
        assert (copy.name, copy.read_bytes()) == ("a.txt", b"content")
    assert not copy.exists()


def test_large_files_are_uploaded_in_parts(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 5 MiB, the least that S3 takes, instead of 50.
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda size, chunksize: 5 << 20)
    s3_server.fill("bucket", {})
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(11 << 20)
    s3_server.requests.clear()

    upload(tmp_path / "a.bin", "s3://bucket/a.bin")

    assert object_size("s3://bucket/a.bin") == 11 << 20
    assert s3_server.requests["POST"] == 2  # begins and completes it
    assert s3_server.requests["PUT"] == 3


def test_one_file_system_serves_all_threads(s3_server: S3Server) -> None:
    s3_server.fill("bucket", {f"{number}.bin": b"%d" % number for number in range(40)})
    s3_server.faults = Faults(slow=0.05)

    with ThreadPoolExecutor(20) as pool:
        stores = set(pool.map(lambda _: id(open_store("s3://bucket/a")[0]), range(40)))
        names = [f"s3://bucket/{number}.bin" for number in range(40)]
        contents = list(pool.map(lambda name: read_object(name, 10), names))

    assert contents == [b"%d" % number for number in range(40)]
    assert len(stores) == 1
    assert s3_server.busy > 10


def test_an_address_of_another_kind() -> None:
    with pytest.raises(UsageError, match="does not read ftp://"):
        open_store("ftp://host/a")
    with pytest.raises(UsageError):
        open_store("simplecache::s3://bucket/a")


def test_the_same_object_under_other_names() -> None:
    assert same_object("s3://bucket/a") == same_object("S3A://bucket/a")
    assert same_object("gcs://bucket/a") == same_object("gs://bucket/a")
    assert same_object("s3://bucket/a") != same_object("s3://bucket/A")


def test_a_server_that_hangs_is_given_up(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from capgen.storage import drivers

    s3_server.fill("bucket", {"hangs.bin": b"content"})
    s3_server.faults = Faults(hang="hangs")
    settings = {
        **drivers._S3,
        "config_kwargs": {"read_timeout": 0.2, "retries": {"max_attempts": 0}},
    }
    monkeypatch.setitem(drivers._SETTINGS, "s3", settings)
    drivers.forget_stores()
    started = time.monotonic()

    with pytest.raises(StoreError, match="does not answer"):
        attempt("s3://bucket/hangs.bin", lambda: _read_once(), waits=(0.0,))

    assert time.monotonic() - started < 50  # 60 by default


def _read_once() -> bytes:
    store, path = open_store("s3://bucket/hangs.bin")
    return bytes(store.cat_file(path))
