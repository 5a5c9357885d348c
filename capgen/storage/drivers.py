"""The file system behind an address: which driver, and what it lacks."""

from __future__ import annotations

import os
from functools import cache
from threading import Lock
from typing import Any

from capgen.addresses import is_stored, without_credentials, without_secrets
from capgen.errors import MissingDependencyError, UsageError

# Schemes that are read, with the package that does it. Others of fsspec wrap a second address or
# run a program, and a list of images must not be able to ask for that.
DRIVERS = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    "hf": "huggingface_hub",
    **dict.fromkeys(("memory", "file", "local"), "fsspec"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    "smb": "smbprotocol",
    "hdfs": "pyarrow",
    "oci": "ocifs",
    "oss": "ossfs",
}
_IN_CLOUD = ("s3fs", "gcsfs", "adlfs")  # the extra
# Schemes whose addresses name a machine, which learns who asks.
_OF_HOSTS = ("sftp", "ssh", "smb", "hdfs")
_SAME = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az", "ssh": "sftp", "local": "file"}
# Seconds without an answer or a byte.
CONNECT_SECONDS, READ_SECONDS = 10, 20
_CONNECTIONS = 128
_OPENING = Lock()
# Another process may have written a file since: listings are not kept.
_FRESH = {"use_listings_cache": False}
_S3 = {
    **_FRESH,
    "config_kwargs": {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "max_pool_connections": _CONNECTIONS,
        # `attempt` does it, and knows when to stop.
        "retries": {"max_attempts": 0},
    },
}
_SETTINGS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("s3", "s3a"), _S3),
    **dict.fromkeys(("gs", "gcs", "az", "abfs", "abfss", "hf"), _FRESH),
}


def open_store(address: str) -> tuple[Any, str]:
    """Return fsspec's file system of an address, and the path in it.

    Credentials are found by the rules of the driver: environment, files, the machine's role. A
    process has one of each, which all its threads share.

    Raises:
        UsageError: The scheme is not known, or the driver lacks a setting.
        MissingDependencyError: Its driver is not installed.
    """
    scheme = scheme_of(address)
    shown = without_credentials(address)
    if not is_known(address):
        raise UsageError(
            f"{shown}: capgen does not read {scheme}://",
            hint="Known: " + ", ".join(f"{name}://" for name in DRIVERS),
        )
    try:
        with _OPENING:  # many threads may be the first
            store = _opened(scheme, address.partition("://")[2].partition("/")[0], os.getpid())
        return store, store._strip_protocol(address)
    except ImportError as error:
        package = DRIVERS[scheme]
        extra = "cloud" if package in _IN_CLOUD else None
        raise MissingDependencyError(package, extra=extra, purpose=f"{scheme}://") from error
    except (ValueError, OSError) as error:
        # Azure's account is not known, Hadoop is not installed, and the like.
        reason = " ".join(without_secrets(str(error), address).split())[:200]
        raise UsageError(f"{shown} cannot be opened: {reason}") from error


def check_driver(name: str) -> None:
    """Check, before the work, that there is a driver for an address; a path needs none.

    Raises:
        UsageError: The scheme is not known.
        MissingDependencyError: Its driver is not installed.
    """
    if is_stored(name):
        open_store(name)


def forget_stores() -> None:
    """Let the next use of a store read settings and credentials again."""
    _opened.cache_clear()


def scheme_of(address: str) -> str:
    """Return an address's scheme in lower case."""
    return address.partition("://")[0].lower()


def is_known(address: str) -> bool:
    """Whether capgen reads addresses like this one."""
    return scheme_of(address) in DRIVERS and "::" not in address


def names_host(address: str) -> bool:
    """Whether an address names a machine to speak to, or who is speaking."""
    return scheme_of(address) in _OF_HOSTS or "@" in address.split("/", 3)[2]


def same_object(address: str) -> str:
    """Return an address in the one form that tells whether two are of the same object."""
    scheme, _, path = without_credentials(address).partition("://")
    scheme = scheme.lower()
    return f"{_SAME.get(scheme, scheme)}://{path.rstrip('/')}"


@cache
def _opened(scheme: str, authority: str, process: int) -> Any:
    """Return a file system; after a fork the child needs one of its own."""
    import fsspec

    store, _ = fsspec.core.url_to_fs(
        f"{scheme}://{authority}", skip_instance_cache=True, **_SETTINGS.get(scheme, {})
    )
    if scheme in ("s3", "s3a"):
        store.retries = 1  # as above
    return store
