"""How the help names switches: `--[no-]tags`.

Typer gives the names that switch something off a column of their own, which leaves the names and
texts of all options too little of 80 columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class _Names(list[str]):
    """The names of an option, of which the help shows others.

    By index, as Typer asks for the text of a default, they are the real ones.
    """

    def __init__(self, names: Sequence[str], shown: Sequence[str]) -> None:
        super().__init__(names)
        self._shown = shown

    def __iter__(self) -> Iterator[str]:
        return iter(self._shown)


@contextmanager
def switches_in_one_column(parameters: Sequence[Any]) -> Iterator[None]:
    """Name switches once while a command's help is printed.

    Args:
        parameters: The command's parameters; afterwards they are as before.
    """
    kept = [(option, option.opts, option.secondary_opts) for option in parameters]
    try:
        for option, on, off in kept:
            if len(off) == 1 and off[0].startswith("--no-"):
                both = f"--[no-]{off[0].removeprefix('--no-')}"
                shown = [both if name == off[0].replace("--no-", "--") else name for name in on]
                if both in shown:
                    option.opts, option.secondary_opts = _Names(on, shown), _Names(off, ())
        yield
    finally:
        for option, on, off in kept:
            option.opts, option.secondary_opts = on, off
