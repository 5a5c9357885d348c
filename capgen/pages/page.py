"""HTML from the templates beside this module, in which every value is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.overwriting import WEB_PAGE, check_output
from capgen.pages.images import InlineImage
from capgen.paths import write_text

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; the first cell of a row is its heading.

    Attributes:
        caption: What it shows.
        rows: The cells.
        heads: Headings of the columns, if they have any.
        numbers: The column from which on cells are numbers; None for no such column.
    """

    caption: str
    rows: Sequence[Sequence[object]]
    heads: Sequence[str] = ()
    numbers: int | None = None


def render(template: str, **values: object) -> str:
    """Return what a template makes of some values, as HTML.

    Half of a character pair, which UTF-8 cannot hold, is written out (a file name that is not
    text may have one).

    Args:
        template: The name of a file in `templates/`.
        values: What it shows.
    """
    made = _environment().get_template(template).render(sections=[], **values)
    return made.encode("utf-8", "backslashreplace").decode("utf-8")


def write_page(path: Path, template: str, **values: object) -> None:
    """Write what a template makes of some values to a file.

    Raises:
        ProtectedFileError: There is a file that is not a web page.
        StorageError: The file cannot be written.
    """
    check_output(path, WEB_PAGE)
    write_text(path, render(template, **values))


def _visible(text: str) -> str:
    """Return user text with control characters and lone surrogates written out."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


@cache
def _environment() -> Environment:
    import jinja2  # here, because most commands write no page

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("capgen.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.do"],
    )
    made.filters |= {"px": "{:.1f}".format, "visible": _visible}
    made.globals["read_image"] = InlineImage.read
    return made
