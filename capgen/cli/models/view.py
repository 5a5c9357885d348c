"""How `capgen models` looks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from capgen.cli.console import Console
from capgen.cli.models.known import requirement_facts
from capgen.cli.tables import add_row, plain_table
from capgen.errors import CapgenError
from capgen.images.decoders import printable
from capgen.models.folder import ModelFolder
from capgen.models.lineage import lineage_of
from capgen.models.provenance import Provenance
from capgen.registry.entries import NO_EPOCH, ModelEntry
from capgen.registry.machine import this_machine
from capgen.registry.requirements import of_entry

if TYPE_CHECKING:
    from capgen.captioning.captioner import Captioner
    from capgen.records import Check

# The scores that the list shows; on a narrow terminal, only the first.
_METRICS = ("CIDEr-D", "METEOR", "BLEU-4")
_WIDE = 110
# Columns whose cells may wrap between words, within words only if these are wider than this; and
# those left out, in this order, where the others do not fit beside the models' whole names.
_FOLDED, _WIDEST_WORD = ("Encoder, decoder", "Data"), 20
_DROPPED = ("Size", "Images", "Data", "Of", "Encoder, decoder", *_METRICS)


def show_list(console: Console, entries: Sequence[ModelEntry]) -> None:
    width = shutil.get_terminal_size().columns
    columns = _columns(entries, wide=width >= _WIDE)
    for name in _DROPPED:
        if _least_width(columns) > width:
            columns.pop(name, None)
    table = plain_table(*columns)
    spare = max(0, width - _least_width(columns))
    for column, (name, cells) in zip(table.columns, columns.items(), strict=True):
        column.no_wrap = name not in _FOLDED
        if name == "Model":
            column.min_width = max(map(cell_len, cells), default=0)  # a name is typed again
        elif name in _FOLDED:
            least = _widest_word(cells)
            more = min(spare, max(map(cell_len, (name, *cells))) - least)
            column.width, spare = least + more, spare - more
    for row in zip(*columns.values(), strict=True):
        add_row(table, *row)
    # A name that is wider than the terminal is whole, too: the terminal breaks it.
    console.show(table, width=max(width, _least_width(columns)))
    for entry in entries:
        if entry.problem.startswith(NO_EPOCH):
            name = printable(entry.name)
            console.note(f"{name} has no epoch yet; capgen train --resume {name} goes on with it")
        elif entry.problem:
            console.note(f"{printable(entry.name)} is broken: {printable(entry.problem)}")


def _columns(entries: Sequence[ModelEntry], *, wide: bool) -> dict[str, list[str]]:
    """Return the cells of the list by column."""
    metrics = _METRICS if wide else _METRICS[:1]
    columns = {
        "": ["*" if entry.default else "" for entry in entries],
        "Model": [printable(entry.name) for entry in entries],
        "Size": [megabytes(entry.size) for entry in entries],
        "Encoder, decoder": [_parts(entry) for entry in entries],
        "Data": [entry.data for entry in entries],
        **{metric: [_score(entry, metric) for entry in entries] for metric in metrics},
        "Of": [entry.split for entry in entries],
        "Images": [entry.images for entry in entries],
    }
    return columns | ({"Made": [entry.created[:10] for entry in entries]} if wide else {})


def _least_width(columns: Mapping[str, Sequence[str]]) -> int:
    """Return the least width of a table in which only the columns of `_FOLDED` wrap."""
    widths = [
        _widest_word(cells) if name in _FOLDED else max(map(cell_len, (name, *cells)))
        for name, cells in columns.items()
    ]
    return sum(widths) + 2 * (len(widths) - 1)


def _widest_word(cells: Sequence[str]) -> int:
    words = [word for cell in cells for word in cell.split()]
    return min(max(map(cell_len, words), default=0), _WIDEST_WORD)


def _parts(entry: ModelEntry) -> str:
    if entry.problem:
        return NO_EPOCH if entry.problem.startswith(NO_EPOCH) else "broken"
    return f"{entry.encoder}, {entry.decoder}"


def full_record(entry: ModelEntry, folder: ModelFolder) -> dict[str, Any]:
    runs_here = of_entry(entry, folder, this_machine())
    record = {**entry.to_dict(), "provenance": _provenance(folder)}
    return {**record, "runs_here": runs_here.to_dict()}


def _provenance(folder: ModelFolder) -> dict[str, Any]:
    try:
        return dict(vars(folder.provenance))
    except CapgenError:
        return {}


def show_entry(console: Console, entry: ModelEntry, folder: ModelFolder) -> None:
    runs_here = of_entry(entry, folder, this_machine())
    table = plain_table("", "")
    facts = {
        "name": entry.name,
        "kind": entry.kind,
        "default": "yes" if entry.default else "",
        "folder": str(entry.path),
        "revision": entry.revision,
        "size": megabytes(entry.size),
        "parameters": "" if entry.parameters is None else f"{entry.parameters:,}",
        "stored as": entry.precision,
        "encoder": entry.encoder,
        "decoder": entry.decoder,
        "concepts": f"{entry.concepts:,}" if entry.concepts else "",
        "runs in ONNX Runtime": "yes" if entry.onnx else "no",
        "made": entry.created,
        "problem": entry.problem,
        **requirement_facts(runs_here, told=entry.problem),
    }
    provenance = _provenance(folder)
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


def megabytes(size: int) -> str:
    """Return a size in megabytes; "" where there are no files, as on a server."""
    return f"{size / 1e6:,.1f} MB" if size else ""
