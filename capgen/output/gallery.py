"""An HTML gallery of captioned images: one file that needs nothing else.

It holds the thumbnails, one style sheet and one script (`gallery.css`, `gallery.js` beside
this module). Captions can be edited in the browser and exported as JSON Lines.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from capgen.output.base import Write
from capgen.paths import writing
from capgen.records import SCHEMA_VERSION, Caption, CaptionFailure, Record

_TITLE = "Captions"


@contextmanager
def open_gallery(path: Path) -> Iterator[Write]:
    """Write a gallery; cards are written as the records come, so memory stays flat."""
    with (
        writing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
    ):
        stream.write(_head())
        number = 0

        def write(record: Record, thumbnail: bytes | None) -> None:
            nonlocal number
            number += 1
            stream.write(_card(record, thumbnail, number))

        yield write
        stream.write(_tail())


def _head() -> str:
    style = _asset("gallery.css")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{_TITLE}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{_TITLE}</h1>
<p id="counts" role="status"></p>
<div class="tools">
<label>Filter <input id="filter" type="search" autocomplete="off"></label>
<label>Show <select id="kind">
<option value="all">all</option>
<option value="captioned">captioned</option>
<option value="failed">failed</option>
<option value="edited">edited</option>
</select></label>
<label>Order <select id="order">
<option value="given">as given</option>
<option value="score">lowest score first</option>
</select></label>
<button id="export" type="button">Export JSONL</button>
</div>
<p class="keys">Arrow keys, Home and End move between images; Enter edits a caption;
Ctrl+Enter or Escape ends editing.</p>
</header>
<main>
<ul id="cards">
"""


def _tail() -> str:
    return f"""</ul>
</main>
<script>
{_asset("gallery.js")}</script>
</body>
</html>
"""


def _card(record: Record, thumbnail: bytes | None, number: int) -> str:
    path = record.path or ""
    if isinstance(record, CaptionFailure):
        return (
            f'<li class="card failed" data-record="{_data(record)}" tabindex="-1">'
            f'<p class="name">{_text(path)}</p>'
            f"{_error(record.code, record.message)}</li>\n"
        )
    image = '<div class="nothing">no thumbnail</div>'
    if thumbnail is not None:
        data = base64.b64encode(thumbnail).decode("ascii")
        image = (
            f'<img src="data:image/webp;base64,{data}" alt="{_text(record.text)}"'
            ' loading="lazy" decoding="async">'
        )
    unwritten = record.unwritten
    others = "".join(
        f"<li>{_text(other.text)} <span>{other.score:.3f}</span></li>"
        for other in record.alternatives
    )
    return (
        f'<li class="card" data-record="{_data(record)}" tabindex="-1">'
        f"{image}"
        f'<label class="hidden" for="c{number}">Caption of {_text(path)}</label>'
        f'<textarea id="c{number}" rows="2" tabindex="-1" spellcheck="true">'
        f"{_text(record.text)}</textarea>"
        + (f'<ol class="others" start="2">{others}</ol>' if others else "")
        + f'<p class="name">{_text(path)}</p>'
        f'<p class="facts">{_sureness(record)}score {record.score:.3f} · '
        f"{record.width}×{record.height}</p>"
        + ("" if unwritten is None else _error(unwritten.code, unwritten.message))
        + "</li>\n"
    )


def _error(code: str, message: str) -> str:
    return f'<p class="error"><strong>{_text(code)}</strong> {_text(message)}</p>'


def _sureness(record: Caption) -> str:
    return "" if record.confidence is None else f"confidence {record.confidence:.2f} · "


def _data(record: Record) -> str:
    """Return what an export says about an image, as JSON in an attribute."""
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "path": record.path,
        "sha256": record.sha256,
        "model": record.model,
        "revision": record.revision,
    }
    if record.confidence is not None:
        content["confidence"] = record.confidence
    if isinstance(record, Caption):
        content |= {"caption": record.text, "score": record.score}
    else:
        content |= {"caption": None, "error": {"code": record.code, "message": record.message}}
    return html.escape(json.dumps(content))


def _text(value: str) -> str:
    """Return user text for HTML; control characters and lone surrogates are shown escaped."""
    clean = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in value
    )
    return html.escape(clean)


def _asset(name: str) -> str:
    return resources.files("capgen.output").joinpath(name).read_text(encoding="utf-8")
