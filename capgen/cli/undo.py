"""`capgen undo`: restores images, sidecars and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capgen.cli.console import Console, counted
from capgen.cli.help import examples

EXAMPLES = examples("capgen undo capgen-undo.jsonl")


def undo_command(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The undo file: capgen-undo.jsonl.", show_default=False
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; print what would be undone.")
    ] = False,
) -> None:
    """Restore the images, sidecars and pages that capgen wrote, byte for byte.

    The latest change comes first. Files that something else has changed since are left alone.
    """
    code = undo_changes(Console(), file, dry_run=dry_run)
    if code:
        raise typer.Exit(code)


def undo_changes(console: Console, path: Path, *, dry_run: bool) -> int:
    """Undo the changes of an undo file, say what was undone, and return the exit code."""
    from capgen.images.decoders import printable
    from capgen.undo import undo

    failed = done = before = 0
    removed: dict[Path, bool] = {}
    for undone in undo(path, dry_run=dry_run):
        if undone.problem:
            failed += 1
            console.error(f"{printable(undone.path)}: {printable(undone.problem)}")
        elif undone.before:
            before += 1
        else:
            done += 1
            removed[undone.path] = undone.removed
    if dry_run:
        for file, goes in removed.items():
            console.data(f"{printable(file)}: would be {'removed' if goes else 'restored'}")
    if not done and not failed:
        why = f": all {before} changes were undone before" if before else ""
        console.note(f"nothing to undo{why}")
    else:
        console.note(
            f"{counted(done, 'change')} {'would be undone' if dry_run else 'undone'}"
            + (f"; {failed} could not be" if failed else "")
        )
    return int(failed > 0)
