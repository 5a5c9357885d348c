"""HTML from the templates beside this module, with every value escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from capgen.images.decoders import printable
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
        heads: Headings of the columns, if any.
        numbers: The first of the columns with numbers, which are the last; None without any.
    """

    caption: str
    rows: Sequence[Sequence[object]]
    heads: Sequence[str] = ()
    numbers: int | None = None


def render(template: str, **values: object) -> str:
    """Return the HTML of a template in `templates/` with these values.

    Lone surrogates, which a file name that is not text may have, are escaped.
    """
    page = _environment().get_template(template).render(sections=[], **values)
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def write_page(path: Path, template: str, **values: object) -> None:
    """Write the HTML of a template to a file.

    Raises:
        ProtectedFileError: `path` is a file that is not a web page.
        StorageError: The file cannot be written.
    """
    check_output(path, WEB_PAGE)
    write_text(path, render(template, **values))


@cache
def _environment() -> Environment:
    import jinja2  # here, because most commands write no page

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("capgen.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.do"],
    )
    environment.filters |= {"px": "{:.1f}".format, "visible": printable}
    environment.globals["read_image"] = InlineImage.of_example
    return environment
