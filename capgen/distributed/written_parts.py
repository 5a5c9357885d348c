"""What a folder of parts says about itself, for those who read it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from capgen.distributed.share import Share
from capgen.distributed.vouchers import (
    MANIFEST,
    PARTS,
    PLAN,
    SHARES,
    VOUCHER,
    PartDone,
    ShareDone,
    damaged,
    number_of,
    read_as,
    read_own,
    to_json,
    under,
)
from capgen.errors import DataError
from capgen.storage.folder import open_folder

_READERS = 16


class WrittenParts:
    """What a folder of parts says about itself.

    Args:
        place: The folder's path or address.

    Attributes:
        place: As given.
        folder: The folder.
        format: `jsonl` or `parquet`.
        shares: The number of shares.

    Raises:
        DataError: It is no such folder.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.folder = open_folder(place)
        self._vouchers = open_folder(under(place, PARTS))
        self._share_files = open_folder(under(place, SHARES))
        if self.folder.read(PLAN) is None:
            raise DataError(
                f"{self.folder.address} holds no parts",
                hint="It must be a folder that `capgen caption --shard` or a store's -o wrote.",
            )
        plan = read_own(self.folder, PLAN)
        if not {"format", "shares"} <= plan.keys():
            raise damaged(self.folder, PLAN)
        self.format = str(plan["format"])
        self.shares = int(plan["shares"])

    def share(self, number: int) -> ShareDone | None:
        """Return what a share says, or None if it is not complete."""
        file = f"{Share(number, self.shares).label or 'all'}.json"
        if self._share_files.read(file) is None:
            return None
        return read_as(ShareDone, self._share_files, file)

    def parts(self) -> dict[str, list[PartDone]]:
        """Return the parts of each share, by its label, in their order."""
        names = sorted(filter(VOUCHER.fullmatch, self._vouchers.names()))
        found: dict[str, list[PartDone]] = {}
        with ThreadPoolExecutor(_READERS, "capgen-vouchers") as pool:
            for name, content in zip(names, pool.map(self._read_voucher, names), strict=True):
                match = VOUCHER.fullmatch(name)
                assert match is not None
                found.setdefault(match[1] or "", []).append(content)
        for parts in found.values():
            parts.sort(key=lambda part: number_of(part.file))
        return found

    def _read_voucher(self, name: str) -> PartDone:
        return read_as(PartDone, self._vouchers, name)

    def commit(self, parts: Sequence[PartDone], shares: Sequence[ShareDone]) -> None:
        """Write the manifest: the output is complete."""
        failures: dict[str, int] = {}
        for part in parts:
            for code, count in part.failures.items():
                failures[code] = failures.get(code, 0) + count
        first = shares[0]
        content = {
            "format": self.format,
            "shares": self.shares,
            "listed": first.listed,
            "names": first.names,
            "work": first.work,
            "records": sum(part.records for part in parts),
            "failures": failures,
            "parts": [
                {"file": p.file, "records": p.records, "size": p.size, "sha256": p.sha256}
                for p in parts
            ],
        }
        data = to_json(content)
        if self.folder.read(MANIFEST) != data:
            self.folder.write(MANIFEST, data)
