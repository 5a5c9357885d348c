"""A folder of parts: which are there, and what says that all of them are.

```
_plan.json                     format and shares; written first
part-00017.jsonl               records of a part (with shares: part-03-of-16-00017.jsonl)
_parts/00017-DIGEST.json       written after the part: it is complete
_shares/03-of-16.json          written after a share's parts: all are there
_manifest.json                 written last: the output is complete
```

Each file is written in one step and a part before what vouches for it, so whatever is killed,
nothing that is vouched for is missing or half. A part that is made again loses its voucher first.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from capgen.distributed.plan import Part, Plan
from capgen.distributed.share import Share
from capgen.errors import DataError, ProtectedFileError, UsageError
from capgen.storage.folder import Folder, open_folder

MANIFEST = "_manifest.json"
_PLAN = "_plan.json"
_PARTS, _SHARES = "_parts", "_shares"
_KIND = "capgen-parts"
_VERSION = 1
_PART_FILE = re.compile(r"part-(?:(\d+-of-\d+)-)?(\d{5,})\.(jsonl|parquet)")
_VOUCHER = re.compile(r"(?:(\d+-of-\d+)-)?(\d{5,})-([0-9a-f]{16})(-again|-failed)?\.json")
_READERS = 16
_Done = TypeVar("_Done", "PartDone", "ShareDone")


@dataclass(frozen=True, kw_only=True)
class PartDone:
    """A part that is complete.

    Attributes:
        file: Its file.
        digest: Hash of what is in it: names of images, model, settings, format.
        sha256: Hash of the file.
        size: Its bytes.
        records: Records in it.
        failures: Failures among these, by error code.
        passing: Failures that the next run tries again: they may pass, or the file was not there.
        runs: Where its records are in the whole list: [position, units, records], with one record
            per unit or one unit.
    """

    file: str
    digest: str
    sha256: str
    size: int
    records: int
    failures: Mapping[str, int] = field(default_factory=dict)
    passing: int = 0
    runs: Sequence[Sequence[int]] = ()


@dataclass(frozen=True, kw_only=True)
class ShareDone:
    """A share whose parts are all there.

    Attributes:
        share: As in `3/16`.
        parts: Its parts.
        listed: Units of the whole list.
        taken: Units of the share.
        names: Hash of all names, whatever their order.
        taken_names: Hash of the share's names.
        order: Hash of the whole list in its order.
        work: Hash of the model and the settings.
    """

    share: str
    parts: int
    listed: int
    taken: int
    names: str
    taken_names: str
    order: str
    work: str


class PartsFolder:
    """The parts of one share in a folder.

    Args:
        place: The folder's path or address.
        format: `jsonl` or `parquet`.
        share: The share.
        work: Hash of the model, the settings and the form of the records.
    """

    def __init__(self, place: str, format: str, share: Share, work: bytes) -> None:
        self.place = place
        self.format = format
        self.share = share
        self._work = work
        self._folder = open_folder(place)
        self._vouchers = open_folder(_under(place, _PARTS))
        self._shares = open_folder(_under(place, _SHARES))
        # Number of a part → names of what vouches for it.
        self._known: dict[int, set[str]] = {}
        # Files of this share that were there before this run, by the number of the part.
        self._files: dict[int, str] = {}
        self._fresh = False
        self._complete = True  # as far as is known

    @property
    def work(self) -> str:
        """Hash of the model, the settings and the form of the records."""
        return self._work.hex()

    def check(self) -> None:
        """Check that the folder is for these parts; begin it if it is new.

        Raises:
            ProtectedFileError: It holds part files that capgen did not write here.
            UsageError: It holds parts of another format or of other shares.
        """
        plan = {"format": self.format, "shares": self.share.count}
        if self._folder.read(_PLAN) is None:
            foreign = sorted(filter(is_of_parts, self._folder.names()))
            if foreign:
                raise ProtectedFileError(
                    f"{self._folder.address} holds {foreign[0]}, which capgen did not write there",
                    hint="Choose another folder.",
                )
            self._folder.write(_PLAN, _json(plan))
            return
        there = _read(self._folder, _PLAN)
        for key, what in (("format", "format"), ("shares", "number of shares")):
            if there.get(key) != plan[key]:
                raise UsageError(
                    f"{self._folder.address} was begun with the {what} {there.get(key)}, "
                    f"not {plan[key]}",
                    hint="Choose another folder, or remove this one.",
                )

    def open(self, *, fresh: bool = False) -> None:
        """Look up what is there, after `check`, and while no other run on this machine writes the share.

        Args:
            fresh: Make all parts again.
        """
        names = self._folder.names()
        self._known = {}
        self._fresh = fresh
        self._files = {
            int(found[2]): name
            for name in names
            if (found := _PART_FILE.fullmatch(name)) and (found[1] or "") == self.share.label
        }
        for name in self._vouchers.names():
            found = _VOUCHER.fullmatch(name)
            if found is None or (found[1] or "") != self.share.label:
                continue
            if fresh:
                self._vouchers.remove(name)
            else:
                self._known.setdefault(int(found[2]), set()).add(name)

    def is_done(self, part: Part, *, retry_failed: bool = False) -> bool:
        """Whether a part is complete, and none of its failures is to be tried again.

        Failures that may pass always are, others if `retry_failed`. A part with two vouchers is
        not: two machines made it at the same time, in different ways.
        """
        known = self._known.get(part.number, ())
        if len(known) != 1 or part.number not in self._files:
            return False
        ends = ("",) if retry_failed else ("", "-failed")
        return any(self._voucher(part, end) in known for end in ends)

    def file_of(self, part: Part) -> str:
        """Return the name of a part's file."""
        label = f"{self.share.label}-" if self.share.label else ""
        return f"part-{label}{part.number:05}.{self.format}"

    def earlier(self, part: Part) -> bytes | None:
        """Return what the part of that number held before this run, be it of other images."""
        there = part.number in self._files and not self._fresh
        return self._folder.read(self.file_of(part)) if there else None

    def commit(self, part: Part, file: Path, done: PartDone) -> PartDone:
        """Put a part's file into the folder, and then its voucher.

        Args:
            part: The part.
            file: Its content.
            done: What is in it, without name and hashes.
        """
        with file.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        done = replace(
            done,
            file=self.file_of(part),
            digest=self._digest(part),
            sha256=sha256,
            size=file.stat().st_size,
        )
        self._withdraw(part)
        self._folder.write_file(done.file, file)
        end = "-again" if done.passing else "-failed" if done.failures else ""
        name = self._voucher(part, end)
        self._vouchers.write(name, _json(asdict(done)))
        self._known[part.number] = {name}
        return done

    def _withdraw(self, part: Part) -> None:
        """Remove what says that the part, its share and the output are complete."""
        self._reopen()
        for name in self._known.pop(part.number, ()):
            self._vouchers.remove(name)

    def _reopen(self) -> None:
        """Remove what says that the share and the output are complete, once."""
        if self._complete:
            self._folder.remove(MANIFEST)
            self._shares.remove(self._share_file)
        self._complete = False

    def commit_share(self, plan: Plan) -> ShareDone:
        """Say that all parts of the share are there; remove those of an earlier, longer list."""
        for number in sorted(self._known.keys() | self._files.keys()):
            if number >= plan.parts:
                self._reopen()
                # Its file first: while there is a voucher, the next run tries again.
                if number in self._files:
                    self._folder.remove(self._files.pop(number))
                for name in self._known.pop(number, ()):
                    self._vouchers.remove(name)
        done = ShareDone(
            share=str(self.share),
            parts=plan.parts,
            listed=plan.listed,
            taken=plan.taken,
            names=plan.names,
            taken_names=plan.taken_names,
            order=plan.order,
            work=self.work,
        )
        data = _json(asdict(done))
        if self._shares.read(self._share_file) != data:
            self._reopen()
            self._shares.write(self._share_file, data)
        return done

    @property
    def _share_file(self) -> str:
        return f"{self.share.label or 'all'}.json"

    def _digest(self, part: Part) -> str:
        return hashlib.sha256(part.digest + self._work).hexdigest()[:16]

    def _voucher(self, part: Part, end: str) -> str:
        label = f"{self.share.label}-" if self.share.label else ""
        return f"{label}{part.number:05}-{self._digest(part)}{end}.json"


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
        self._vouchers = open_folder(_under(place, _PARTS))
        self._share_files = open_folder(_under(place, _SHARES))
        if self.folder.read(_PLAN) is None:
            raise DataError(
                f"{self.folder.address} holds no parts",
                hint="It must be a folder that `capgen caption --shard` or a store's -o wrote.",
            )
        plan = _read(self.folder, _PLAN)
        if not {"format", "shares"} <= plan.keys():
            raise _damaged(self.folder, _PLAN)
        self.format = str(plan["format"])
        self.shares = int(plan["shares"])

    def share(self, number: int) -> ShareDone | None:
        """Return what a share says, or None if it is not complete."""
        file = f"{Share(number, self.shares).label or 'all'}.json"
        if self._share_files.read(file) is None:
            return None
        return _read_as(ShareDone, self._share_files, file)

    def parts(self) -> dict[str, list[PartDone]]:
        """Return the parts of each share, by its label, in their order."""
        names = sorted(filter(_VOUCHER.fullmatch, self._vouchers.names()))
        found: dict[str, list[PartDone]] = {}
        with ThreadPoolExecutor(_READERS, "capgen-vouchers") as pool:
            for name, content in zip(names, pool.map(self._read_voucher, names), strict=True):
                match = _VOUCHER.fullmatch(name)
                assert match is not None
                found.setdefault(match[1] or "", []).append(content)
        for parts in found.values():
            parts.sort(key=lambda part: _number(part.file))
        return found

    def _read_voucher(self, name: str) -> PartDone:
        return _read_as(PartDone, self._vouchers, name)

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
        data = _json(content)
        if self.folder.read(MANIFEST) != data:
            self.folder.write(MANIFEST, data)


def is_of_parts(name: str) -> bool:
    """Whether a file in a folder of parts has a name that only capgen gives."""
    return name in (MANIFEST, _PLAN) or _PART_FILE.fullmatch(name) is not None


def _number(file: str) -> int:
    match = _PART_FILE.fullmatch(file)
    return int(match[2]) if match else 0


def _under(place: str, name: str) -> str:
    return f"{place.rstrip('/')}/{name}"


def _json(content: Mapping[str, Any]) -> bytes:
    whole = {"schema_version": _VERSION, "kind": _KIND, **content}
    return (json.dumps(whole, ensure_ascii=False) + "\n").encode()


def _read(folder: Folder, name: str) -> dict[str, Any]:
    """Return the content of a file of this module.

    Raises:
        DataError: It is missing or not such a file.
    """
    data = folder.read(name)
    try:
        content = json.loads(data or b"")
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise _damaged(folder, name)
    return content


def _damaged(folder: Folder, name: str) -> DataError:
    return DataError(f"{folder.address}/{name} is damaged", hint="Remove it, and run again.")


def _read_as(kind: type[_Done], folder: Folder, name: str) -> _Done:
    content = _read(folder, name)
    try:
        return kind(**{f.name: content[f.name] for f in fields(kind) if f.name in content})
    except TypeError as error:  # one is missing
        raise _damaged(folder, name) from error


def iterate_runs(part: PartDone) -> Iterator[tuple[int, int]]:
    """Yield (position of a unit, its number of records) in a part's order."""
    for position, units, records in part.runs:
        if units == 1:
            yield position, records
        else:
            yield from ((position + k, 1) for k in range(units))
