"""How `capgen data` looks: tables on stdout, progress and notices on stderr."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from capgen.cli.console import Console
from capgen.cli.live_bar import progress_bars
from capgen.cli.tables import add_row, plain_table
from capgen.data.events import Event, Finished, Notice, Progress

if TYPE_CHECKING:
    from capgen.cache_folders import Usage
    from capgen.data.checks import Diagnosis, Fixed
    from capgen.data.dataset import Dataset
    from capgen.data.download.catalog import DatasetSpec
    from capgen.data.statistics import DatasetStatistics, Spread

_VERBS = {
    "download": "Downloading",
    "unpack": "Unpacking",
    "copy": "Copying",
    "decode": "Decoding",
    "check": "Examining",
}
_BAR = 40


class _Amount(ProgressColumn):
    """Done, total and rate in the task's own unit."""

    def render(self, task: Task) -> Text:
        megabytes = task.fields["unit"] == "bytes"
        scale, unit = (1e6, "MB") if megabytes else (1, task.fields["unit"])
        form = ",.1f" if megabytes else ",.0f"
        total = "" if task.total is None else f"/{format(task.total / scale, form)}"
        speed = format((task.speed or 0) / scale, ",.1f") + (" MB/s" if megabytes else "/s")
        rate = f", {speed}" if task.speed else ""
        return Text(f"{format(task.completed / scale, form)}{total} {unit}{rate}")


def follow(events: Iterator[Event]) -> None:
    """Show events as they come, and finally what was installed, on stdout."""
    try:
        finished = [event for event in _rendered(events) if isinstance(event, Finished)]
    except KeyboardInterrupt:
        Console().note("interrupted; run the same command again to resume")
        raise
    for event in finished:
        Console().data(_finished(event))


def follow_diagnosis(events: Iterator[Progress | Diagnosis]) -> Diagnosis:
    *_, diagnosis = _rendered(events)
    return diagnosis  # type: ignore[no-any-return]


def _rendered(events: Iterator[Any]) -> Iterator[Any]:
    """Render progress and notices on stderr; pass on everything else."""
    amount = _Amount(table_column=Column(no_wrap=True))  # on a narrow terminal the bar shrinks
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    tasks: dict[tuple[str, str], Any] = {}
    # An interrupt must reach the generator, which stops its threads and frees its lock.
    with closing(_as_generator(events)) as stream, progress_bars(*columns) as bars:
        for event in stream:
            if isinstance(event, Progress):
                key = (event.task, event.item)
                if key not in tasks:
                    label = f"{_VERBS[event.task]} {event.item}".replace("[", "\\[")
                    # Work of an earlier run does not count for the rate.
                    tasks[key] = bars.add_task(
                        label, total=event.total, completed=event.done, unit=event.unit
                    )
                bars.update(tasks[key], completed=event.done, total=event.total)
            elif isinstance(event, Notice):
                Console().note(event.message)
            else:
                yield event


def _as_generator(events: Iterator[Any]) -> Generator[Any, None, None]:
    yield from events


def show_terms(spec: DatasetSpec) -> None:
    """Show a data set's terms of use on stderr."""
    Console().note(f"{spec.title}: {spec.terms} {spec.homepage}")


def show_list(rows: Sequence[dict[str, Any]]) -> None:
    table = plain_table("Name", "", "Images", "Data set", "Licence")
    for row in rows:
        images = f"{row['pictures']:,}" if row["pictures"] else ""
        state = "installed" if row["installed"] else "to download"
        add_row(table, row["name"], state, images, row["title"] or row["folder"], row["licence"])
    Console().show(table)


def show_cache(parts: Sequence[Usage]) -> None:
    table = plain_table("Cache", "Files", "MB", "Folder")
    for part in parts:
        add_row(table, part.title, f"{part.files:,}", f"{part.bytes / 1e6:,.1f}", str(part.path))
    Console().show(table)


def info_record(dataset: Dataset, statistics: DatasetStatistics) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "folder": str(dataset.root),
        "format": dataset.format,
        "digest": dataset.digest,
        "split_source": dataset.split_source,
        "licence": dataset.licence,
        "terms": dataset.terms,
        "left_out": len(dataset.problems),
        **({} if dataset.reviews is None else {"reviews": dict(dataset.reviews)}),
        **statistics.to_dict(),
    }


def show_info(dataset: Dataset, statistics: DatasetStatistics) -> None:
    console = Console()
    table = plain_table(dataset.name, "")
    splits = ", ".join(f"{name} {count:,}" for name, count in statistics.splits.items())
    rows = {
        "folder": str(dataset.root),
        "format": dataset.format,
        "digest": dataset.digest,
        "images": f"{statistics.pictures:,} ({splits}; split {dataset.split_source})",
        "captions": f"{statistics.captions:,}",
        "captions per image": _spread(statistics.captions_per_picture),
        "words per caption": _spread(statistics.words_per_caption),
        "vocabulary": f"{statistics.vocabulary:,} words,"
        f" {statistics.frequent_vocabulary:,} of them at least 5 times",
        "languages": ", ".join(f"{name} {n:,}" for name, n in statistics.languages.items()),
        "width": _spread(statistics.width),
        "height": _spread(statistics.height),
        "files": f"{statistics.bytes / 1e6:,.1f} MB ("
        + ", ".join(f"{name} {n:,}" for name, n in statistics.formats.items())
        + (f"; {statistics.unreadable:,} unreadable)" if statistics.unreadable else ")"),
        "left out": f"{len(dataset.problems):,} (see `capgen data doctor`)",
        "reviews": _reviews(dataset.reviews or {}),
        "licence": dataset.licence,
        "terms": dataset.terms,
    }
    for key, value in rows.items():
        if value and not (key == "left out" and not dataset.problems):
            add_row(table, key, value)
    console.show(table)
    console.show(_histogram(statistics.length_histogram))
    words = plain_table("Most frequent words", "")
    for word, count in statistics.most_frequent:
        add_row(words, word, f"{count:,}")
    console.show(words)


def _reviews(reviews: Mapping[str, Any]) -> str:
    """Return what is known of reviewed captions: `12 accepted, 3 edited, … (by ann)`."""
    counts = [f"{count:,} {name}" for name, count in reviews.items() if isinstance(count, int)]
    people = ", ".join(reviews.get("by", ()))
    return ", ".join(counts) + (f" (by {people})" if people else "")


def show_diagnosis(diagnosis: Diagnosis, show: int) -> None:
    console = Console()
    entries = diagnosis.reading.entries
    captions = sum(len(entry.captions) for entry in entries)
    languages = ", ".join(f"{name} {n:,}" for name, n in diagnosis.languages.items())
    lengths = _spread(diagnosis.words_per_caption)
    console.show(
        Text(
            f"{diagnosis.root} ({diagnosis.format}): {len(entries):,} images, {captions:,}"
            f" captions; words per caption: {lengths}; languages: {languages}"
        ),
        wrap=False,
    )
    if not diagnosis.problems:
        console.data("No problems found.")
        return
    table = plain_table("Class", "Count", "Problem", "With --fix")
    for code, count in diagnosis.counts.items():
        kind = next(p.kind for p in diagnosis.problems if p.code == code)
        add_row(table, code, f"{count:,}", kind.title, kind.fix.replace("_", " ") or "unchanged")
    console.show(table)
    for code, count in diagnosis.counts.items():
        problems = [problem for problem in diagnosis.problems if problem.code == code]
        for problem in problems[: show or count]:
            console.show(Text(f"{code}: {problem}"), wrap=False)
        if show and count > show:
            console.show(Text(f"{code}: and {count - show:,} more (--show 0 lists all)"))


def show_fixed(fixed: Fixed) -> None:
    Console().note(
        f"Wrote {fixed.path}: {fixed.images:,} images, {fixed.captions:,} captions"
        f" ({fixed.dropped_pictures:,} images and {fixed.dropped_captions:,} captions left out,"
        f" {fixed.cleaned_captions:,} captions cleaned). Use it with --data-dir."
    )


def _finished(event: Finished) -> str:
    splits = ", ".join(f"{name} {count:,}" for name, count in event.splits.items())
    already = " (already installed)" if event.already else ""
    return (
        f"{event.name}{already}: {event.images:,} images, {event.captions:,} captions;"
        f" {splits}; in {event.folder}"
    )


def _histogram(lengths: dict[int, int]) -> Table:
    table = plain_table("Words", "Captions", "")
    most = max(lengths.values(), default=1)
    for length, count in lengths.items():
        add_row(table, str(length), f"{count:,}", "█" * round(_BAR * count / most))
    return table


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return (
        f"{spread.least:g} to {spread.greatest:g}, median {spread.median:g}, mean {spread.mean:.1f}"
    )
