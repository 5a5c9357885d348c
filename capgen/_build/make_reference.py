"""Write the generated pages docs/cli.md, api.md, records.md, and the generated parts of others.

    python -m capgen._build.make_reference

A test compares them with what this makes, so they cannot fall behind the code.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from capgen._build.api_page import api_page
from capgen._build.cli_page import cli_page
from capgen._build.records_page import records_page
from capgen._build.review_keys import review_keys
from capgen.data.formats import FORMATS
from capgen.errors import IMAGE_CODES

DOCS = Path(__file__).parent.parent.parent / "docs"
WIDTH = 100
MADE = "<!-- Made by `python -m capgen._build.make_reference`: do not edit. -->\n"
END = "<!-- End of what is made. -->"


def pages() -> dict[str, str]:
    """Return file name → text of every generated page."""
    return {
        "cli.md": cli_page(MADE),
        "api.md": api_page(MADE),
        "records.md": records_page(DOCS / "record.schema.json", MADE),
        "datasets.md": _with_part("datasets.md", _layouts()),
        "errors.md": _with_part("errors.md", _codes()),
        "reviewing.md": _with_part("reviewing.md", _keys()),
    }


def _with_part(name: str, lines: Iterable[str]) -> str:
    """Return a page with lines between the marks of what is made."""
    page = (DOCS / name).read_text(encoding="utf-8")
    before, begin, rest = page.partition(MADE)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"docs/{name} lacks the marks {MADE!r} and {END!r}")
    return "\n".join([before + begin, *lines, "", end + after])


def _layouts() -> Iterator[str]:
    """Yield the layouts of data sets that the readers describe."""
    for name, layout in FORMATS.items():
        yield _item(f"`{name}`: {layout.description}")


def _codes() -> Iterator[str]:
    for code, what in IMAGE_CODES.items():
        yield _item(f"`{code}`: {what}")


def _keys() -> Iterator[str]:
    """Yield the table of the review page's keys."""
    yield from ("| Key | What it does |", "|---|---|")
    for keys, what in review_keys():
        yield f"| {' '.join(f'`{key}`' for key in keys)} | {what} |"


def _item(text: str) -> str:
    return textwrap.fill(
        f"- {text}",
        width=WIDTH,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(DOCS / name, file=sys.stderr)


if __name__ == "__main__":
    main()
