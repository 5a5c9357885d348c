"""The whole examination: reading, captions, images, duplicates, splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.data.checks.captions import check_captions
from capgen.data.checks.duplicates import find_duplicates
from capgen.data.checks.images import Examination, examine_all
from capgen.data.dataset import assigned_splits
from capgen.data.events import Progress
from capgen.data.formats import read_any
from capgen.data.formats.reading import Reading, ReadOptions
from capgen.data.problems import PROBLEMS, Problem
from capgen.data.splits import SplitOptions
from capgen.data.statistics import Spread, count_languages, spread, words
from capgen.records import SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        root: Folder or file that was examined.
        format: Its format.
        reading: What was read, including faulty entries.
        splits: Split of each image, drawn if the source assigns none.
        problems: Every problem, in the order of `PROBLEMS`.
        languages: Captions in each language.
        words_per_caption: Spread of caption lengths in words, or None without captions.
    """

    root: Path
    format: str
    reading: Reading
    splits: dict[str, str]
    problems: list[Problem]
    languages: dict[str, int]
    words_per_caption: Spread | None

    @property
    def counts(self) -> dict[str, int]:
        """Problems of each class, in the order of `PROBLEMS`."""
        counted = Counter(problem.code for problem in self.problems)
        return {code: counted[code] for code in PROBLEMS if counted[code]}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        lengths = self.words_per_caption
        return {
            "schema_version": SCHEMA_VERSION,
            "path": str(self.root),
            "format": self.format,
            "pictures": len(self.reading.entries),
            "counts": self.counts,
            "problems": [problem.to_dict() for problem in self.problems],
            "languages": self.languages,
            "words_per_caption": vars(lengths) if lengths else None,
        }


def diagnose(
    root: Path, *, options: ReadOptions | None = None, splits: SplitOptions | None = None
) -> Iterator[Progress | Diagnosis]:
    """Examine a data set, yielding progress and finally the diagnosis.

    Args:
        root: Folder or file in any known format.
        options: What is known about the source.
        splits: How to split where the source does not.

    Raises:
        DataError: It does not exist, or cannot be read in any format.
    """
    problems: list[Problem] = []
    name, reading = read_any(root, options or ReadOptions(), problems.append)
    assigned = assigned_splits(reading, reading.entries, splits or SplitOptions())
    problems += _split_problems(assigned)
    problems += [
        Problem(code="image_without_captions", message="has no caption", file=p, image_id=p.name)
        for p in reading.strays
    ]
    problems += check_captions(reading.entries)
    examined: list[Examination] = []
    for examination in examine_all(reading.entries):
        examined.append(examination)
        problems += examination.problems
        yield Progress(
            task="check",
            item=root.name,
            done=len(examined),
            total=len(reading.entries),
            unit="images",
        )
    problems += find_duplicates(examined, assigned)
    order = {code: index for index, code in enumerate(PROBLEMS)}
    texts = [text for entry in reading.entries for text in entry.captions]
    yield Diagnosis(
        root=root,
        format=name,
        reading=reading,
        splits=assigned,
        problems=sorted(problems, key=lambda problem: order[problem.code]),
        languages=count_languages(texts),
        words_per_caption=spread([len(words(text)) for text in texts]) if texts else None,
    )


def _split_problems(assigned: dict[str, str]) -> Iterator[Problem]:
    for split in ("train", "val", "test"):
        if assigned and split not in assigned.values():
            yield Problem(code="split_empty", message=f"no image in {split}")
