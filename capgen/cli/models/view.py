"""How `capgen models` looks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from capgen.cli.console import Console
from capgen.cli.tables import add_row, plain_table
from capgen.errors import CapgenError
from capgen.images.decoders import printable
from capgen.models.folder import ModelFolder
from capgen.models.lineage import lineage_of
from capgen.models.provenance import Provenance
from capgen.registry.entries import ModelEntry

if TYPE_CHECKING:
    from capgen.captioning.captioner import Captioner
    from capgen.records import Check
    from capgen.registry.compare import ComparisonEvent, ModelComparison

# The scores that the list shows; on a narrow terminal, only the first.
_METRICS = ("CIDEr-D", "METEOR", "BLEU-4")
_WIDE = 110
_LONGEST_WORD = 20


def show_list(console: Console, entries: Sequence[ModelEntry]) -> None:
    wide = shutil.get_terminal_size().columns >= _WIDE
    metrics = _METRICS if wide else _METRICS[:1]
    headers = ("", "Model", "Size", "Encoder, decoder", "Data", *metrics, "Of", "Images")
    table = plain_table(*headers, *(("Made",) if wide else ()))
    for column in table.columns:
        column.no_wrap = str(column.header) not in ("Model", "Encoder, decoder", "Data")
    if not wide:  # wide enough for its longest word; names and data wrap
        longest = max((len(entry.encoder) for entry in entries), default=0) + 1
        table.columns[3].width = max(len("decoder"), min(_LONGEST_WORD, longest))
    for entry in entries:
        add_row(
            table,
            "*" if entry.default else "",
            entry.name,
            _megabytes(entry.size),
            "broken" if entry.problem else f"{entry.encoder}, {entry.decoder}",
            entry.data,
            *(_score(entry, metric) for metric in metrics),
            entry.split,
            entry.images,
            *((entry.created[:10],) if wide else ()),
        )
    console.show(table)
    for entry in entries:
        if entry.problem:
            console.note(f"{printable(entry.name)} is broken: {printable(entry.problem)}")


def full_record(entry: ModelEntry, folder: ModelFolder) -> dict[str, Any]:
    try:
        provenance: dict[str, Any] = dict(vars(folder.provenance))
    except CapgenError:
        provenance = {}
    return {**entry.to_dict(), "provenance": provenance}


def show_entry(console: Console, entry: ModelEntry, folder: ModelFolder) -> None:
    record = full_record(entry, folder)
    table = plain_table("", "")
    facts = {
        "name": entry.name,
        "kind": entry.kind,
        "default": "yes" if entry.default else "",
        "folder": str(entry.path),
        "revision": entry.revision,
        "size": _megabytes(entry.size),
        "parameters": "" if entry.parameters is None else f"{entry.parameters:,}",
        "stored as": entry.precision,
        "encoder": entry.encoder,
        "decoder": entry.decoder,
        "runs in ONNX Runtime": "yes" if entry.onnx else "no",
        "made": entry.created,
        "problem": entry.problem,
    }
    provenance = record["provenance"]
    lineage = lineage_of(Provenance.from_dict(provenance))
    facts["started from"] = ", which started from ".join(str(e.get("name")) for e in lineage)
    facts |= _facts("data", provenance.get("data", {}))
    facts |= _facts("export", provenance.get("export", {}))
    facts |= {
        f"training: {key}": value
        for key, value in provenance.get("training", {}).items()
        if not isinstance(value, list | dict)
    }
    images = f", {entry.images} images" if entry.images else ""
    measured = f"{entry.measured_on} {entry.split}{images}"
    facts |= {f"{measured}: {name}": f"{value:.4f}" for name, value in entry.metrics.items()}
    for name, value in facts.items():
        if value not in ("", None):
            add_row(table, name, str(value))
    console.show(table)


def _facts(title: str, record: Mapping[str, Any]) -> dict[str, str]:
    """Return a row for each value of a record, and for each data set of several."""
    facts = {}
    for key, value in record.items():
        if isinstance(value, list):
            for item in value:
                name = item.get("name", "") if isinstance(item, dict) else ""
                facts[f"{title}: {name or key}"] = _as_text(item)
        else:
            facts[f"{title}: {key}"] = _as_text(value)
    return facts


def _as_text(value: Any) -> str:
    """Return a value of a record as text: a mapping as `train 6000, val 1000`."""
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    parts = {key: item for key, item in value.items() if key != "name" and item not in ("", None)}
    inner = {
        key: f"({_as_text(item)})" if isinstance(item, dict) else item
        for key, item in parts.items()
    }
    return ", ".join(f"{key} {item}" for key, item in inner.items())


def follow_comparison(events: Iterable[ComparisonEvent], console: Console) -> ModelComparison:
    from capgen.cli.eval.view import follow
    from capgen.registry.compare import ComparisonFinished, ModelStarted

    stream = iter(events)
    for event in stream:
        if isinstance(event, ModelStarted):
            # Takes the events of one model, up to its evaluation.
            follow(_until_finished(stream), console, f"captioning ({event.name})", event.images)
        elif isinstance(event, ComparisonFinished):
            return event.comparison
    raise AssertionError("the comparison ended without a result")


def _until_finished(events: Iterable[Any]) -> Iterable[Any]:
    from capgen.evaluation.events import EvaluationFinished

    for event in events:
        yield event
        if isinstance(event, EvaluationFinished):
            return


def show_comparison(console: Console, comparison: ModelComparison) -> None:
    from capgen.cli.eval.view import show

    table = plain_table("", *(entry.name for entry in comparison.entries))
    for metric in comparison.evaluations[0].scores.corpus:
        cells = []
        for evaluation in comparison.evaluations:
            interval = evaluation.intervals.get(metric)
            ends = "" if interval is None else f" ({interval.low:.3f}..{interval.high:.3f})"
            cells.append(f"{evaluation.scores.corpus[metric]:.4f}{ends}")
        add_row(table, metric, *cells)
    add_row(table, "parameters", *(_millions(entry.parameters) for entry in comparison.entries))
    add_row(table, "stored as", *(entry.precision for entry in comparison.entries))
    add_row(table, "size", *(_megabytes(entry.size) for entry in comparison.entries))
    if comparison.speeds:
        speeds = [comparison.speeds[entry.name] for entry in comparison.entries]
        add_row(
            table,
            "images/s",
            *(f"{s.photos_per_second:.1f} ({s.slowest:.1f}..{s.fastest:.1f})" for s in speeds),
        )
    console.show(table)
    for pair in comparison.comparisons:
        console.data("")
        show(console, pair.first, pair, 0)
    for note in comparison.notes:
        console.note(note)


def show_test(
    console: Console, captioner: Captioner, images: Sequence[str], loaded: float, *, as_json: bool
) -> int:
    """Caption images and show how long each took; return the number of failures."""
    from capgen.records import CaptionFailure

    failed, records = 0, []
    runtime = captioner.runtime
    console.note(f"loaded in {loaded:.2f} s ({runtime.name}, {runtime.device}, {runtime.dtype})")
    for image in images:
        start = time.perf_counter()
        (record,) = captioner.stream([image])
        seconds = time.perf_counter() - start
        score = None if isinstance(record, CaptionFailure) else record.score
        if isinstance(record, CaptionFailure):
            failed += 1
            console.error(record.message, record.hint)
            continue
        records.append({**record.to_dict(), "seconds": round(seconds, 4)})
        if not as_json:
            console.data(record.text if len(images) == 1 else f"{printable(image)}\t{record.text}")
            console.note(f"{seconds:.2f} s" + ("" if score is None else f", score {score:.3f}"))
    if as_json:
        console.json(records)
    return failed


def show_checks(console: Console, model: str, checks: Sequence[Check]) -> None:
    table = plain_table("", "", "")
    for check in checks:
        word = {True: "ok", False: "WRONG", None: "?"}[check.ok]
        add_row(table, word, check.name, check.detail)
    console.data(printable(model))
    console.show(table)


def _score(entry: ModelEntry, metric: str) -> str:
    value = entry.metrics.get(metric)
    return "" if value is None else f"{value:.3f}"


def _megabytes(size: int) -> str:
    """Return a size in megabytes; "" where there are no files, as on a server."""
    return f"{size / 1e6:,.1f} MB" if size else ""


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.1f} M"
