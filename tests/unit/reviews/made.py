"""Records and reviews that are made up."""

from __future__ import annotations

from capgen.records import Caption, Review


def caption(number: int, confidence: float | None = None, text: str = "a dog runs") -> Caption:
    """The record of an image of its own."""
    return Caption(
        path=f"{number}.jpg",
        text=text,
        log_probability=-1.0,
        score=-0.2,
        sha256=f"{number:064x}",
        confidence=confidence,
    )


def review(
    verdict: str = "accepted", text: str = "a dog runs", proposed: str = "a dog runs"
) -> Review:
    """A review of the caption that `caption` gives."""
    return Review(verdict=verdict, proposed=proposed, caption=text)
