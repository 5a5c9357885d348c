"""Plain tables for the terminal, whose cells are text and never markup."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from capgen.images.decoders import printable


def plain_table(*headers: str) -> Table:
    """Return a table without lines; without headers, if all of them are empty."""
    table = Table(box=None, pad_edge=False, show_header=any(headers))
    for header in headers:
        table.add_column(Text(printable(header)), overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row: `[red]` in a file's name prints as itself, and control codes are escaped."""
    table.add_row(*(Text(printable(cell)) for cell in cells))
