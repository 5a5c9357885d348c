"""Captions a share of a list on this machine, part by part."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from capgen.addresses import is_stored
from capgen.captioning.batch.journal import Journal, work_digest
from capgen.captioning.batch.pipeline import BatchFinished, ImageDone
from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, TagOptions
from capgen.distributed.caption_parts import PartsRun, caption_parts
from capgen.distributed.merge import check_parts
from capgen.distributed.parts_folder import PartsFolder
from capgen.distributed.plan import DEFAULT_PART_SIZE, Part, Plan, Unit
from capgen.distributed.share import Share
from capgen.distributed.vouchers import PartDone, ShareDone
from capgen.paths import unfinished_dir

_JOURNALS = "_journals"


@dataclass(frozen=True, kw_only=True)
class ShareJob:
    """What to caption, and where to.

    Attributes:
        place: The folder of the parts: a path or an address.
        format: `jsonl` or `parquet`.
        share: The share to caption.
        part_size: Images in a part.
        resume: Keep parts that are there.
        run: How to caption; its journal is left out.
    """

    place: str
    format: str = "jsonl"
    share: Share = field(default_factory=Share)
    part_size: int = DEFAULT_PART_SIZE
    resume: bool = True
    run: PartsRun = field(default_factory=PartsRun)


@dataclass(frozen=True, kw_only=True)
class PartReused:
    """A part is there from an earlier run.

    Attributes:
        number: Its number in the share.
        images: Its images; archives and tables count as one.
    """

    number: int
    images: int


@dataclass(frozen=True, kw_only=True)
class ShareFinished:
    """All parts of the share are there.

    Attributes:
        done: What the folder says about the share.
        reused: Parts from an earlier run.
        complete: Whether the whole output is complete: there are no other shares.
    """

    done: ShareDone
    reused: int
    complete: bool


ShareEvent = ImageDone | PartDone | PartReused | BatchFinished | ShareFinished


def caption_share(
    captioner: Captioner, units: Iterable[Unit], job: ShareJob
) -> Generator[ShareEvent, None, None]:
    """Caption a share of a list; parts that are there are passed over.

    What an interrupted part had is kept in a journal on this machine.

    Args:
        captioner: The model.
        units: The whole list, as each machine has it.
        job: What to do.

    Yields:
        `PartReused`, `ImageDone` and `PartDone` in the order of the list; a `BatchFinished`; and a
        `ShareFinished`, unless the run was stopped by `fail_fast`.

    Raises:
        UsageError: The folder holds parts of another kind.
        ProtectedFileError: It holds part files that capgen did not write there.
        StorageError: The folder cannot be read or written, or another run on this machine is
            writing the same share.
    """
    work = record_work(captioner, job.run.batch.decoding, job.run.tags, job.format)
    folder = PartsFolder(job.place, job.format, job.share, work)
    folder.check()
    plan = Plan(units, job.share, job.part_size)
    journal = open_journal(captioner, job.run.batch.decoding, journal_path(job), job.resume)
    reused: deque[PartReused] = deque()
    number = 0
    complete = False
    try:
        folder.open(fresh=not job.resume)  # not before the journal, which locks the share
        parts = _missing(plan, folder, journal, job, reused)
        run = replace(job.run, batch=replace(job.run.batch, journal=journal))
        stopped = False
        with closing(caption_parts(captioner, parts, folder, run)) as events:
            for event in events:
                while reused:
                    number += 1
                    yield reused.popleft()
                if isinstance(event, BatchFinished):
                    stopped = event.stopped
                yield event
        if not stopped:
            yield finish_share(folder, plan, reused=number)
            complete = True
    finally:
        journal.close(remove=complete)
        with suppress(OSError):  # other shares have theirs in it
            journal.path.parent.rmdir()


def open_parts(work: bytes, job: ShareJob) -> PartsFolder:
    """Open the folder of a job for the parts of one model and settings; see `record_work`."""
    folder = PartsFolder(job.place, job.format, job.share, work)
    folder.check()
    folder.open(fresh=not job.resume)
    return folder


def record_work(
    captioner: Captioner, decoding: DecodeOptions, tags: TagOptions, format: str
) -> bytes:
    """Return a hash of all that records depend on besides the images."""
    settings, _ = captioner.settings(decoding)
    work = work_digest(
        captioner.name, captioner.model.fingerprint, captioner.record_settings(settings)
    )
    form: dict[str, Any] = {"format": format}
    if format != "jsonl":  # whose records are whole
        form |= asdict(tags)
    return hashlib.sha256(work + json.dumps(form, sort_keys=True).encode()).digest()


def finish_share(folder: PartsFolder, plan: Plan, *, reused: int) -> ShareFinished:
    """Say that a share is complete, and the whole output if there is no other share.

    Raises:
        DataError: There is none, but not all parts are there: another machine removed some.
    """
    done = folder.commit_share(plan)
    complete = folder.share.count == 1
    if complete:
        checked = check_parts(folder.place)
        checked.written.commit(checked.all_parts, checked.shares)
    return ShareFinished(done=done, reused=reused, complete=complete)


def _missing(
    plan: Plan, folder: PartsFolder, journal: Journal, job: ShareJob, reused: deque[PartReused]
) -> Iterator[Part]:
    """Yield the parts that are to be made; note those that are there."""
    for part in plan:
        if folder.is_done(part, retry_failed=job.run.batch.options.retry_failed):
            reused.append(PartReused(number=part.number, images=len(part.units)))
            continue
        if job.format == "jsonl":
            absorb_earlier(journal, folder, part)
        yield part


def absorb_earlier(journal: Journal, folder: PartsFolder, part: Part) -> None:
    """Take over the records that a part had before."""
    data = folder.earlier(part)
    if data is not None:
        absorb_records(journal, data)


def absorb_records(journal: Journal, data: bytes) -> None:
    """Take over records that are JSON Lines."""
    with tempfile.TemporaryDirectory(prefix="capgen-part-") as place:
        file = Path(place, "part.jsonl")
        file.write_bytes(data)
        journal.absorb(file)


def open_journal(
    captioner: Captioner, decoding: DecodeOptions, path: Path, resume: bool = True
) -> Journal:
    """Open the journal of a captioner's records with these settings."""
    settings, _ = captioner.settings(decoding)
    return Journal(
        path,
        captioner.name,
        captioner.model.fingerprint,
        captioner.record_settings(settings),
        fresh=not resume,
        name_key=captioner.prompting.name_key,
        outdated=captioner.prompting.is_outdated,
    )


def journal_path(job: ShareJob) -> Path:
    """Return where this machine keeps the share's journal; on a disk, beside the parts."""
    name = f"{job.share.label or 'all'}.journal"
    if not is_stored(job.place):
        return Path(job.place, _JOURNALS, name)
    key = hashlib.sha256(job.place.rstrip("/").encode()).hexdigest()[:16]
    return unfinished_dir() / "parts" / key / name
