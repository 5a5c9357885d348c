"""The folder that one share writes its parts into."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

from capgen.distributed.plan import Part, Plan
from capgen.distributed.share import Share
from capgen.distributed.vouchers import (
    MANIFEST,
    PART_FILE,
    PARTS,
    PLAN,
    SHARES,
    VOUCHER,
    PartDone,
    ShareDone,
    is_of_parts,
    read_own,
    to_json,
    under,
)
from capgen.errors import ProtectedFileError, UsageError
from capgen.storage.folder import open_folder


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
        self._vouchers = open_folder(under(place, PARTS))
        self._shares = open_folder(under(place, SHARES))
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
        if self._folder.read(PLAN) is None:
            foreign = sorted(filter(is_of_parts, self._folder.names()))
            if foreign:
                raise ProtectedFileError(
                    f"{self._folder.address} holds {foreign[0]}, which capgen did not write there",
                    hint="Choose another folder.",
                )
            self._folder.write(PLAN, to_json(plan))
            return
        there = read_own(self._folder, PLAN)
        for key, what in (("format", "format"), ("shares", "number of shares")):
            if there.get(key) != plan[key]:
                raise UsageError(
                    f"{self._folder.address} was begun with the {what} {there.get(key)}, "
                    f"not {plan[key]}",
                    hint="Choose another folder, or remove this one.",
                )

    def open(self, *, fresh: bool = False) -> None:
        """Look up what is there; after `check`, while no other run here writes the share.

        Args:
            fresh: Make all parts again.
        """
        names = self._folder.names()
        self._known = {}
        self._fresh = fresh
        self._files = {
            int(found[2]): name
            for name in names
            if (found := PART_FILE.fullmatch(name)) and (found[1] or "") == self.share.label
        }
        for name in self._vouchers.names():
            found = VOUCHER.fullmatch(name)
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
        self._vouchers.write(name, to_json(asdict(done)))
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
        data = to_json(asdict(done))
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
