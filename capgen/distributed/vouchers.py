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

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from capgen.errors import DataError
from capgen.known_fields import from_known_fields
from capgen.storage.folder import Folder

MANIFEST = "_manifest.json"
PLAN = "_plan.json"
PARTS, SHARES = "_parts", "_shares"
_KIND = "capgen-parts"
_VERSION = 1
PART_FILE = re.compile(r"part-(?:(\d+-of-\d+)-)?(\d{5,})\.(jsonl|parquet)")
VOUCHER = re.compile(r"(?:(\d+-of-\d+)-)?(\d{5,})-([0-9a-f]{16})(-again|-failed)?\.json")
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


def is_of_parts(name: str) -> bool:
    """Whether a file in a folder of parts has a name that only capgen gives."""
    return name in (MANIFEST, PLAN) or PART_FILE.fullmatch(name) is not None


def number_of(file: str) -> int:
    match = PART_FILE.fullmatch(file)
    return int(match[2]) if match else 0


def under(place: str, name: str) -> str:
    return f"{place.rstrip('/')}/{name}"


def to_json(content: Mapping[str, Any]) -> bytes:
    whole = {"schema_version": _VERSION, "kind": _KIND, **content}
    return (json.dumps(whole, ensure_ascii=False) + "\n").encode()


def read_own(folder: Folder, name: str) -> dict[str, Any]:
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
        raise damaged(folder, name)
    return content


def damaged(folder: Folder, name: str) -> DataError:
    return DataError(f"{folder.address}/{name} is damaged", hint="Remove it, and run again.")


def read_as(kind: type[_Done], folder: Folder, name: str) -> _Done:
    content = read_own(folder, name)
    try:
        return from_known_fields(kind, content)
    except TypeError as error:  # one is missing
        raise damaged(folder, name) from error


def iterate_runs(part: PartDone) -> Iterator[tuple[int, int]]:
    """Yield (position of a unit, its number of records) in a part's order."""
    for position, units, records in part.runs:
        if units == 1:
            yield position, records
        else:
            yield from ((position + k, 1) for k in range(units))
