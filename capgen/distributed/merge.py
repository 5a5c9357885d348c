"""Joins the parts of all shares, after checking that nothing is missing or doubled."""

from __future__ import annotations

import hashlib
import heapq
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise

from capgen.distributed.plan import sum_of_names
from capgen.distributed.share import Share
from capgen.distributed.vouchers import PartDone, ShareDone, iterate_runs
from capgen.distributed.written_parts import WrittenParts
from capgen.errors import DataError

# A record: a line of JSON Lines with its end, or a row of a table.
Line = bytes
_READERS = 16


@dataclass(frozen=True, kw_only=True)
class CheckedParts:
    """Parts of which none is missing.

    Attributes:
        written: Their folder.
        shares: What each share says, in their order.
        parts: The parts of each share, in their order.
    """

    written: WrittenParts
    shares: tuple[ShareDone, ...]
    parts: tuple[tuple[PartDone, ...], ...]

    @property
    def all_parts(self) -> list[PartDone]:
        return [part for parts in self.parts for part in parts]

    @property
    def records(self) -> int:
        return sum(part.records for part in self.all_parts)

    @property
    def same_order(self) -> bool:
        """Whether all machines had the list in the same order."""
        return len({share.order for share in self.shares}) == 1


def check_parts(place: str) -> CheckedParts:
    """Check that a folder has all parts of all shares of one list, made in the same way.

    Raises:
        DataError: It has not; the message names what is missing.
    """
    written = WrittenParts(place)
    shares = _shares(written)
    by_label = written.parts()
    found = []
    for share in shares:
        number, _, count = share.share.partition("/")
        label = Share(int(number), int(count)).label
        parts = by_label.get(label, [])
        if len(parts) != share.parts or len({part.file for part in parts}) != share.parts:
            raise DataError(
                f"{written.folder.address}: share {share.share} has {len(parts)} of its "
                f"{share.parts} parts",
                hint=f"Run it again: --shard {share.share}",
            )
        found.append(tuple(parts))
    names = written.folder.names()
    lost = [part.file for parts in found for part in parts if part.file not in names]
    if lost:
        raise _lost(written, lost[0])
    _check_lists(written, shares)
    return CheckedParts(written=written, shares=shares, parts=tuple(found))


def _shares(written: WrittenParts) -> tuple[ShareDone, ...]:
    done: list[ShareDone] = []
    missing: list[str] = []
    for number in range(1, written.shares + 1):
        share = written.share(number)
        if share is None:
            missing.append(f"{number}/{written.shares}")
        else:
            done.append(share)
    if missing:
        few = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")
        one = len(missing) == 1
        raise DataError(
            f"{written.folder.address}: {'share' if one else 'shares'} {few} "
            f"{'is' if one else 'are'} missing or not complete",
            hint=f"Run {'it' if one else 'them'} again: --shard {missing[0]}",
        )
    return tuple(done)


def _check_lists(written: WrittenParts, shares: Sequence[ShareDone]) -> None:
    first = shares[0]
    for share in shares[1:]:
        if share.names != first.names:
            raise DataError(
                f"{written.folder.address}: shares {first.share} and {share.share} are of "
                f"different lists, with {first.listed:,} and {share.listed:,} images",
                hint="All need the same inputs, written the same way. Run those of the other list "
                "again.",
            )
        if share.work != first.work:
            raise DataError(
                f"{written.folder.address}: shares {first.share} and {share.share} were made "
                "with different models or settings",
                hint="Run one of them again with the other's options.",
            )
    if sum_of_names(share.taken_names for share in shares) != first.names:
        raise DataError(
            f"{written.folder.address}: the shares do not add up to the list",
            hint="Run them again with --no-resume.",
        )


def merged_lines(checked: CheckedParts) -> Iterator[Line]:
    """Yield the lines of JSON Lines parts as one machine would have written them.

    They come in the order of the list. If machines had it in different orders, they come in
    natural order of their paths (`img2` before `img10`).

    Raises:
        DataError: A part's file is not what was written.
    """
    if not checked.same_order:
        yield from _by_name(checked)
        return
    streams = [_placed(checked.written, parts) for parts in checked.parts]
    for _, lines in heapq.merge(*streams, key=lambda item: item[0]):
        yield from lines


def _placed(written: WrittenParts, parts: Sequence[PartDone]) -> Iterator[tuple[int, list[Line]]]:
    """Yield the position of each unit with its lines."""
    for part in parts:
        lines = BytesIO(part_bytes(written, part))
        for position, records in iterate_runs(part):
            yield position, [lines.readline() for _ in range(records)]


def _by_name(checked: CheckedParts) -> Iterator[Line]:
    # SQLite sorts what does not fit into memory.
    with closing(sqlite3.connect("")) as table:
        table.execute("create table records (key text, line blob)")
        for part in checked.all_parts:
            lines = BytesIO(part_bytes(checked.written, part)).readlines()
            table.executemany(
                "insert into records values (?, ?)", [(_sort_key(line), line) for line in lines]
            )
        for (line,) in table.execute("select line from records order by key, line"):
            yield bytes(line)


def _sort_key(line: Line) -> str:
    path = str(json.loads(line).get("path", ""))
    return re.sub(r"\d+", lambda digits: digits[0].zfill(20), path.casefold())


def part_bytes(written: WrittenParts, part: PartDone) -> bytes:
    """Return the content of a part's file.

    Raises:
        DataError: It is not what was written.
    """
    data = written.folder.read(part.file)
    if data is None:
        raise _lost(written, part.file)
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise _lost(written, part.file, "was changed")
    return data


def _lost(written: WrittenParts, file: str, what: str = "is missing") -> DataError:
    return DataError(
        f"{written.folder.address}/{file} {what} since it was written",
        hint="Run its share again with --no-resume.",
    )


def check_content(checked: CheckedParts) -> None:
    """Check that the parts' files are what was written; `merged_lines` does so as it goes.

    Raises:
        DataError: One is not.
    """
    with ThreadPoolExecutor(_READERS, "capgen-parts") as pool:
        for _ in pool.map(lambda part: len(part_bytes(checked.written, part)), checked.all_parts):
            pass


def check_unchanged(checked: CheckedParts) -> None:
    """Check that no share was made again meanwhile.

    Raises:
        DataError: One was, or is being made.
    """
    now = check_parts(checked.written.place)
    if now.parts != checked.parts or now.shares != checked.shares:
        raise DataError(
            f"{checked.written.folder.address} was written to meanwhile", hint="Merge it again."
        )


def check_positions(checked: CheckedParts) -> None:
    """Check that no image is in two parts.

    Raises:
        DataError: One is.
    """
    if not checked.same_order:
        return
    runs = heapq.merge(*(_spans(parts) for parts in checked.parts))
    for (_, end), (start, _) in pairwise(runs):
        if start < end:
            raise DataError(
                f"{checked.written.folder.address}: an image is in two parts",
                hint="Run the shares again with --no-resume.",
            )


def _spans(parts: Sequence[PartDone]) -> Iterator[tuple[int, int]]:
    """Yield where runs of units begin and end."""
    for part in parts:
        for position, units, _ in part.runs:
            yield position, position + units
