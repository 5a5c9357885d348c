"""How the known captioners look, and whether one of them runs on this machine."""

from __future__ import annotations

from typing import Any

from capgen.cli.console import Console
from capgen.cli.tables import add_row, plain_table
from capgen.models.known import KNOWN_MODELS, KnownModel
from capgen.registry.listing import is_downloaded
from capgen.registry.machine import this_machine
from capgen.registry.requirements import Requirements, gigabytes, of_known

_UNKNOWN = "–"
_INDENT = 2
_CARDS = "sizes and licences are those of the models' cards; capgen has not measured them"


def show_known(console: Console, *, as_json: bool) -> None:
    """Show all known captioners: a line of figures each, and one of what it is."""
    if as_json:
        console.json([{**m.to_dict(), "downloaded": is_downloaded(m)} for m in KNOWN_MODELS])
        return
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    heads = ("Model", "Parameters", "Download", "Licence", "Languages")
    rows = [heads, *map(_figures, KNOWN_MODELS)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = [
        Text("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        for row in rows
    ]
    shown: list[Any] = [lines[0]]
    for model, line in zip(KNOWN_MODELS, lines[1:], strict=True):
        shown += [line, *(Padding(Text(text), (0, 0, 0, _INDENT)) for text in _about(model))]
    console.show(Group(*shown))
    console.note(_CARDS)


def _figures(model: KnownModel) -> tuple[str, ...]:
    return (
        model.name,
        _count(model.parameters),
        _size(model.download_bytes),
        model.licence or _UNKNOWN,
        ", ".join(model.languages) or _UNKNOWN,
    )


def _about(model: KnownModel) -> tuple[str, ...]:
    prompted = "follows prompts" if model.takes_prompt else ""
    traits = [
        model.model_type,
        prompted,
        "gated" if model.gated else "",
        "downloaded" if model.identifier and is_downloaded(model) else "",
    ]
    home = model.identifier or "in the package"
    return f"{home} ({', '.join(filter(None, traits))})", model.purpose


def show_elsewhere(console: Console, model: KnownModel, *, as_json: bool) -> None:
    """Show what is known of a model that is not on this machine."""
    runs_here = of_known(model, this_machine())
    if as_json:
        facts = model.to_dict()
        console.json(
            {**facts, "kind": "known", "downloaded": False, "runs_here": runs_here.to_dict()}
        )
        return
    facts = {
        "name": model.name,
        "kind": "known, not downloaded",
        "Hub id": model.identifier,
        "type": model.model_type,
        "parameters": _count(model.parameters),
        "download": _size(model.download_bytes),
        "licence": model.licence or _UNKNOWN,
        "languages": ", ".join(model.languages) or _UNKNOWN,
        "good for": model.purpose,
        "follows prompts": "yes" if model.takes_prompt else "no",
        "gated": "yes" if model.gated else "no",
        **requirement_facts(runs_here),
    }
    table = plain_table("", "")
    for name, value in facts.items():
        if value:
            add_row(table, name, value)
    console.show(table)
    console.note(_CARDS)


def requirement_facts(found: Requirements, *, told: str = "") -> dict[str, str]:
    """Return the rows that say whether a model runs on this machine, and how.

    `told` is a problem that is shown elsewhere.
    """
    way = found.chosen
    if found.possible is False:
        answer = "no" if found.problem == told else f"no: {found.problem}"
    elif way is None:
        answer = "not known: its number of parameters is not known"
    else:
        sure = "yes" if found.possible else "perhaps (the free memory is not known)"
        answer = f"{sure}: {way.title} in {way.dtype}"
    memory = [
        f"{gigabytes(way.needed)} on {way.title} in {way.dtype}"
        + (f" (free: {gigabytes(way.available)})" if way.available is not None else "")
        for way in found.ways
    ]
    disk = (
        f"; free in {found.disk_place}: {gigabytes(found.disk)}" if found.disk is not None else ""
    )
    return {
        "runs here": answer,
        "options": found.options if found.possible is not False else "",
        "first": "; ".join(found.first),
        "memory needed": "; ".join(memory),
        "disk needed": f"about {gigabytes(found.download)}, at the first use{disk}"
        if found.download
        else "",
    }


def _count(count: int | None) -> str:
    if count is None:
        return _UNKNOWN
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.0f} M"


def _size(size: int | None) -> str:
    if size is None:
        return _UNKNOWN
    return gigabytes(size) if size else "none"
