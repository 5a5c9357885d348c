"""What people decided about the captions of an output, while it is written again."""

from __future__ import annotations

from dataclasses import replace

from capgen.cli.console import Console
from capgen.output.files import Target
from capgen.records import Caption, Record
from capgen.reviews.journal import Reviews, read_reviews, reviews_path
from capgen.reviews.keep_edits import keep_edits


def open_reviews(console: Console, target: Target) -> Reviews:
    """Return the decisions about an output's captions, with those made in the output itself."""
    output = target.path
    edits = 0 if target.kind.holds_records else keep_edits(output)
    if edits:
        what, stay = ("caption that was", "stays") if edits == 1 else ("captions that were", "stay")
        console.note(f"{edits:,} {what} changed in {target.name} {stay} so")
    return read_reviews(reviews_path(output))


def record_to_write(proposed: Record, decided: Record, target: Target) -> Record:
    """Return the record for the output: where a later run reads it, with the model's caption."""
    if not target.kind.holds_records or not isinstance(decided, Caption):
        return decided
    if not isinstance(proposed, Caption):
        return proposed
    return replace(proposed, unwritten=decided.unwritten)
