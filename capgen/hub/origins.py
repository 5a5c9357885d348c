"""What a model card says of where a model comes from: what it was made from, on which data, in
which language, on which terms.

It says what is recorded; what is not recorded is said to be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capgen.data.download.catalog import DATASETS
from capgen.data.formats.manifest import LANGUAGE_TAG
from capgen.hub.escaping import inline
from capgen.models.lineage import (
    BUNDLED_SOURCE,
    HUB,
    INIT,
    PYPI,
    RUN,
    Entry,
    lineage_of,
    sources,
)
from capgen.models.provenance import Provenance

ENGLISH = "en"


def data_sets(provenance: Provenance) -> list[Mapping[str, Any]]:
    """Return what is recorded of each data set that the model was trained on."""
    sets = provenance.data.get("sets")
    every = sets if isinstance(sets, list) else [provenance.data]
    return [data for data in every if isinstance(data, Mapping) and data]


def languages(provenance: Provenance) -> list[str]:
    """Return the languages of the training captions, as far as the data sets say them."""
    found = []
    for data in data_sets(provenance):
        spec = DATASETS.get(str(data.get("name")))
        language = data.get("language") or (spec.language if spec is not None else "")
        if isinstance(language, str) and LANGUAGE_TAG.fullmatch(language):
            found.append(language)
    return list(dict.fromkeys(found))


def made_from(provenance: Provenance) -> str:
    """Say what the weights come from, the nearest first."""
    lineage = lineage_of(provenance)
    if not lineage:
        return "What its weights come from is unknown: it is not recorded."
    lines = [f"- {_origin(entry)}" for entry in lineage]
    if lineage[-1].get("role") == INIT:
        lines.append("- What that one was made from is not recorded.")
    return "\n".join(lines)


def _origin(entry: Entry) -> str:
    """Return what an entry of the lineage says, as text."""
    name, role = inline(entry.get("name", "unnamed")), entry.get("role")
    titles = {
        BUNDLED_SOURCE: f"**{name}**, the captioner that comes with capgen",
        HUB: f"**{name}** of the Hub",
        RUN: f"**{name}**, a checkpoint of a training run that is not public",
        PYPI: f"**{name}**, from the package {inline(entry.get('package', 'unnamed'))}",
    }
    facts = [
        titles.get(str(entry.get("source")), f"**{name}**, a folder that is not public"),
        f"commit {inline(entry['revision'])}" if entry.get("revision") else "",
        f"pretrained on {inline(entry['pretrained_on'])}" if entry.get("pretrained_on") else "",
        _trained_on(entry),
        f"licence {inline(entry['licence'])}" if entry.get("licence") else "",
    ]
    begin = "Started from" if role in (INIT, None) else f"Its {inline(role)} started from"
    return f"{begin} " + ", ".join(filter(None, facts)) + "."


def _trained_on(entry: Entry) -> str:
    names = ", ".join(_weighted(data) for _, data in sources([entry]))
    settings = entry.get("training")
    how = settings.get("objective") if isinstance(settings, Mapping) else None
    return f"trained on {names}" + (f" ({inline(how)})" if how else "") if names else ""


def _weighted(data: Mapping[str, Any]) -> str:
    """Return a data set's name with its weight, where that is not 1."""
    name, weight = inline(data.get("name", "unnamed")), data.get("weight", 1)
    return name if weight == 1 else f"{name} with weight {inline(weight)}"


def weights(provenance: Provenance) -> list[str]:
    """Return a line for each data set whose weight is recorded."""
    return [
        f"- **{inline(data.get('name', 'unnamed'))}.** weight {inline(data['weight'])}"
        + (f": {inline(data['drawn'])} training images per epoch" if "drawn" in data else "")
        for data in data_sets(provenance)
        if "weight" in data
    ]


def terms(provenance: Provenance, licence: str) -> str:
    """Return the licences: of the weights, of what they come from, and of all data.

    Args:
        provenance: Where the model comes from.
        licence: The Hub's name of the weights' licence, as their pusher says.
    """
    lineage = lineage_of(provenance)
    lines = [f"- **Weights.** `{licence}`, as the one who pushed them says."]
    lines += [
        f"- **{inline(entry.get('name', 'unnamed'))}, which it started from.** "
        + inline(entry.get("licence") or "not recorded")
        for entry in lineage
    ]
    lines += [_of_data(data) for data in data_sets(provenance)]
    known = set(lines)
    lines += [line for _, data in sources(lineage) if (line := _of_data(data)) not in known]
    return "\n".join(dict.fromkeys(lines))


def _of_data(data: Mapping[str, Any]) -> str:
    spec = DATASETS.get(str(data.get("name")))
    licence = data.get("licence") or (spec.licence if spec else "not recorded")
    return f"- **Data ({inline(data.get('name', 'unnamed'))}).** {inline(licence)}"
