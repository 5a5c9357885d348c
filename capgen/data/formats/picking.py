"""Which of several files of a folder hold the captions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from capgen.data.problems import Problem, Report
from capgen.data.splits import split_in


def one_per_split(files: Sequence[Path]) -> list[Path]:
    """Return the only file, or one for each split; nothing where that leaves a choice."""
    by_split: dict[str, list[Path]] = {}
    for path in files:
        split = split_in(path.stem)
        if split is not None:
            by_split.setdefault(split, []).append(path)
    if by_split:
        clear = all(len(paths) == 1 for paths in by_split.values())
        return [path for paths in by_split.values() for path in paths] if clear else []
    return list(files) if len(files) == 1 else []


def tell_left_out(
    files: Iterable[Path], chosen: Sequence[Path], why: Callable[[Path], str], report: Report
) -> None:
    """Report the files that are not read."""
    for path in files:
        if path not in chosen:
            report(Problem(code="captions_unread", message=f"is left out: {why(path)}", file=path))
