"""`capgen alt fill`: captions, review, and texts into pages."""

from __future__ import annotations

import difflib
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.alt_text.fill import (
    contexts,
    image_key,
    load_alt_captioner,
    sources,
    texts_of,
)
from capgen.alt_text.site import Site, read_site
from capgen.alt_text.write_texts import Correction, WrittenPage, write_site
from capgen.applying.choose import choose
from capgen.applying.locate import Locator
from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import journal_path
from capgen.captioning.runtimes.cores import lanes_and_threads
from capgen.cli.alt.earlier_records import corrections, earlier_records, record_key
from capgen.cli.alt.view import problem_of, tell_image_root, where
from capgen.cli.caption.many import BatchJob, run_batch
from capgen.cli.caption.options import Results, Run
from capgen.cli.console import Console, counted
from capgen.cli.review import ReviewJob, review_records
from capgen.config import (
    AltFillOptions,
    ApplyOptions,
    DecodeOptions,
    ImageLimits,
    ModelOptions,
)
from capgen.errors import UsageError
from capgen.images.decoders import printable
from capgen.output.files import targets_of
from capgen.output.formats import open_format
from capgen.overwriting import (
    OWN_JOURNAL,
    OWN_UNDO,
    TEXT_OR_DATA,
    InputFiles,
    Output,
    check_outputs,
)
from capgen.paths import check_place, writing
from capgen.records import Caption
from capgen.reviews.journal import read_reviews, reviews_path
from capgen.reviews.reviewed_records import read_records, with_reviews
from capgen.undo_file import UndoFile

if TYPE_CHECKING:
    from capgen.captioning.batch.sources import Source
    from capgen.cli.alt.options import FillPlaces
    from capgen.output.files import Target


@dataclass(frozen=True, kw_only=True)
class FillJob:
    """What `capgen alt fill` was asked to do."""

    content: Path
    fill: AltFillOptions
    places: FillPlaces
    model: ModelOptions
    decoding: DecodeOptions
    run: Run
    limits: ImageLimits


@dataclass
class _Tally:
    """What became of the images without a text."""

    written: int = 0
    pages: int = 0
    problems: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def run_fill(console: Console, job: FillJob) -> int:
    """Caption what has no text, write the captions into the pages, and return the exit code."""
    [target] = targets_of([job.places.output], None)
    if not target.kind.holds_records:
        raise UsageError(f"-o {job.places.output}: records are .jsonl or .json files")
    check_place(target.path)
    site = read_site(job.content, job.fill)
    for path, error in site.unreadable.items():
        console.error(error.message or path, error.hint)
    asked = sources(site, download=job.fill.download)
    tally = _Tally()
    _tell_impossible(console, site, asked, tally)
    _check_outputs(job, site, asked)
    earlier, code = earlier_records(target.path, site, asked), 0
    if asked:
        code = _caption(console, job, target, asked, contexts(site, asked))
        _put_back(target, earlier)
    if job.fill.review and (asked or earlier):
        review_records(
            console, target.path, job.places, ReviewJob(limits=job.limits, model=job.model)
        )
    texts, corrected = _texts(target.path, job.fill, asked, tally)
    undo = None if job.places.dry_run else UndoFile(job.places.undo_file)
    for page in write_site(site, texts, corrected, undo):
        _tell_page(console, page, tally, diff=job.places.dry_run)
    if asked or tally.written:
        _tell(console, job, tally)
    else:
        left = "that could be captioned" if site.missing else "without alternative text"
        console.note(f"no image {left}")
    return int(bool(code or tally.problems or site.unreadable))


def _tell_impossible(
    console: Console, site: Site, asked: Mapping[str, Source], tally: _Tally
) -> None:
    """Tell which images cannot be captioned, or cannot get a text."""
    for image in site.missing:
        if image.place.edit is None or image_key(image) not in asked:
            tally.problems += 1
            address = printable(image.place.address)
            console.note(f"{where(image)}: left alone: {address}{problem_of(image)}")
    tell_image_root(console, site)


def _check_outputs(job: FillJob, site: Site, asked: Mapping[str, Source]) -> None:
    files = [source.file for source in asked.values() if source.file is not None]
    output = job.places.output
    outputs = [
        Output("-o", output, TEXT_OR_DATA),
        Output("the journal of -o,", journal_path(output), OWN_JOURNAL),
        Output("--undo-file", job.places.undo_file, OWN_UNDO),
    ]
    read = [*files, *(page.path for page in site.pages), reviews_path(output)]
    check_outputs(outputs, InputFiles(read))


def _caption(
    console: Console,
    job: FillJob,
    target: Target,
    asked: Mapping[str, Source],
    context: Mapping[str, Mapping[str, str]],
) -> int:
    inputs = Inputs([], limits=job.limits, sources=list(asked.values()))
    batch = BatchJob(
        inputs=inputs,
        decoding=job.decoding,
        run=job.run,
        limits=job.limits,
        results=Results(
            outputs=(str(target.path),), undo_file=job.places.undo_file, quiet=job.places.quiet
        ),
        targets=(target,),
        format="",
        sidecars=None,
        alone=None,
    )
    lanes, threads = lanes_and_threads(inputs.total, job.run.batch_size)
    load = partial(load_alt_captioner, job.model, context, threads=threads)
    return run_batch(console, load, batch, lanes)


def _put_back(target: Target, earlier: Sequence[Caption]) -> None:
    """Add the captions of earlier runs to the records, behind the new ones."""
    if earlier:
        records = read_records(target.path)
        with writing(target.path) as whole, open_format(whole, target.format) as write:
            for record in (*records, *earlier):
                write(record, None)


def _texts(
    records: Path, fill: AltFillOptions, asked: Mapping[str, Source], tally: _Tally
) -> tuple[dict[str, str], dict[str, Correction]]:
    """Return the texts for images without one, and what people decided about earlier ones."""
    if not records.is_file():
        return {}, {}
    locator, reviews = Locator(records.parent, {}), read_reviews(reviews_path(records))
    known = read_records(records)
    fresh = [each for each in known if record_key(each, locator) in asked]
    chosen = choose(with_reviews(fresh, reviews), ApplyOptions(only=fill.only))
    tally.left_out = chosen.left_out
    captions = [record for record in chosen.records if isinstance(record, Caption)]
    texts = texts_of(captions, {number: locator.file(each) for number, each in enumerate(captions)})
    captions = [record for record in known if isinstance(record, Caption)]
    return texts, corrections(captions, reviews, fill.only, locator)


def _tell_page(console: Console, page: WrittenPage, tally: _Tally, *, diff: bool) -> None:
    tally.written += len(page.written)
    tally.pages += bool(page.written)
    for number, problem in (page.problems or {}).items():
        place = page.page.places[number]
        tally.problems += 1
        console.error(f"{printable(page.page.path)}:{place.line}:{place.column}: {problem}")
    if diff and page.written:
        for line in _diff(page):
            console.data(line)


def _diff(page: WrittenPage) -> Iterable[str]:
    name = page.page.path.as_posix()
    old, new = (text.splitlines() for text in (page.page.text, page.text))
    for line in difflib.unified_diff(old, new, name, name, n=1, lineterm=""):
        yield line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _tell(console: Console, job: FillJob, tally: _Tally) -> None:
    left_out = ", ".join(f"{count:,} {kind}" for kind, count in tally.left_out.items())
    rest = f"; left out: {left_out}" if left_out else ""
    texts = counted(tally.written, "text")
    pages = counted(tally.pages, "page")
    if job.places.dry_run:
        console.note(f"{texts} would be written into {pages}{rest}")
        if tally.written and not job.fill.review:
            records = shlex.quote(str(job.places.output))
            console.note(
                f"next: capgen review {records}, then the same without --dry-run writes them"
            )
        return
    console.note(f"{texts} written into {pages}{rest}")
    if tally.written:
        console.note(f"capgen undo {shlex.quote(str(job.places.undo_file))} takes them back")
