"""Which driver an address has, and what its faults mean."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from capgen.addresses import without_credentials
from capgen.errors import UsageError
from capgen.storage.attempts import StoreError, attempt
from capgen.storage.drivers import names_host, open_store
from capgen.storage.faults import Fault, fault_of
from capgen.storage.reading import read_object
from tests.s3_server import S3Server


class ClientConnectorDNSError(OSError):
    """As aiohttp has it."""


class StatusError(Exception):
    """As gcsfs and httpx have it: with the status of an answer."""

    __module__ = "gcsfs.retry"

    def __init__(self, code: int) -> None:
        self.code = code


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (FileNotFoundError(), "missing"),
        (PermissionError(), "permission"),
        (TimeoutError(), "passing"),
        (ConnectionResetError(), "passing"),
        (OSError(errno.EBUSY, "slow down"), "passing"),
        (ClientConnectorDNSError(-2, "no such host"), "passing"),
        (StatusError(404), "missing"),
        (StatusError(401), "login"),
        (StatusError(429), "passing"),
        (StatusError(503), "passing"),
        (StatusError(400), "refused"),
        (ValueError("not a repository"), "refused"),
        (OSError(errno.EINVAL, "invalid"), "refused"),
        (ZeroDivisionError(), None),
    ],
)
def test_faults_by_what_may_help(error: Exception, fault: Fault | None) -> None:
    assert fault_of(error) == fault


def test_what_is_no_fault_of_a_store_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        attempt("s3://bucket/a", lambda: 1 // 0)


@pytest.mark.parametrize(
    "address", ["s3://", "s3:///a.jpg", "s3://bucket/\udce9.jpg", "hf://a.jpg"]
)
def test_names_of_no_object(s3_server: S3Server, address: str) -> None:
    with pytest.raises(StoreError):
        read_object(address, 10)


def test_a_driver_that_lacks_a_setting_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCOUNT_NAME", "CONNECTION_STRING"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)

    with pytest.raises(UsageError, match=r"az://container/a cannot be opened: .*account_name"):
        open_store("az://container/a")


def test_a_container_of_azure_is_no_user() -> None:
    address = "abfs://container@account.dfs.core.windows.net/a.jpg"

    assert without_credentials(address) == address
    assert names_host(address)
    assert without_credentials("sftp://me@host/a.jpg") == "sftp://host/a.jpg"


def test_threads_that_are_first_open_one_store(s3_server: S3Server) -> None:
    threads = Barrier(8)

    def opened(number: int) -> int:
        threads.wait(30)
        return id(open_store(f"s3://bucket/{number}")[0])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(opened, range(8)))) == 1
