"""The file system behind an address: which driver, and what it lacks."""

from __future__ import annotations

from typing import Any

from capgen.addresses import without_credentials
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


def open_store(address: str) -> tuple[Any, str]:
    """Return fsspec's file system of an address, and the path in it.

    Credentials are found by the rules of the driver: environment, files, the machine's role.

    Raises:
        UsageError: The scheme is not known.
        MissingDependencyError: Its driver is not installed.
    """
    scheme = address.partition("://")[0].lower()
    shown = without_credentials(address)
    package = DRIVERS.get(scheme)
    if package is None or "::" in address:
        raise UsageError(
            f"{shown}: capgen does not read {scheme}://",
            hint="Known: " + ", ".join(f"{name}://" for name in DRIVERS),
        )
    import fsspec

    try:
        # Listings are not kept: another process may have written a file since.
        store, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        raise MissingDependencyError(package, extra="cloud", purpose=f"{scheme}://") from error
    except ValueError as error:
        raise UsageError(f"{shown} is not an address ({error})") from error
    return store, path
