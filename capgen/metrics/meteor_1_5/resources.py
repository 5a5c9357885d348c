"""The word lists and paraphrases of METEOR 1.5, which come with pycocoevalcap.

capgen ships none of them. They are read from the installed package: the program is a Java
archive, that is a zip file, and its lists are text files in it.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from capgen.errors import MetricError, MissingDependencyError

NAME = "METEOR-1.5"

_ARCHIVE = "meteor-1.5.jar"
_TABLE = Path("data") / "paraphrase-en.gz"


@dataclass(frozen=True)
class WordLists:
    """The English lists of the program.

    Attributes:
        function_words: Words that count less than content words.
        prefixes: Words whose full stop does not end a sentence.
        numeric_prefixes: The same, before a number.
        synsets: Word → numbers of its synsets in WordNet 3.0, separated by spaces.
        bases: Irregular form → its base forms.
    """

    function_words: frozenset[str]
    prefixes: frozenset[str]
    numeric_prefixes: frozenset[str]
    synsets: dict[str, str]
    bases: dict[str, list[str]]


def folder() -> Path:
    """Return the folder of the program in the installed pycocoevalcap.

    Raises:
        MissingDependencyError: pycocoevalcap is not installed.
        MetricError: It is there without the program's files.
    """
    spec = find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError("pycocoevalcap", extra="coco", purpose=NAME)
    found = Path(next(iter(spec.submodule_search_locations))) / "meteor"
    for name in (_ARCHIVE, _TABLE):
        if not (found / name).is_file():
            raise MetricError(
                f"{NAME} needs {found / name}, which is missing",
                hint="Install the extra again: pip install --force-reinstall pycocoevalcap",
            )
    return found


def paraphrase_file() -> Path:
    """Return the gzip file of English paraphrases."""
    return folder() / _TABLE


def word_lists() -> WordLists:
    """Read the lists from the program's archive.

    Raises:
        MetricError: The archive is damaged.
    """
    archive = folder() / _ARCHIVE
    try:
        with zipfile.ZipFile(archive) as file:
            function = _lines(file, "function/english.words")
            prefixes = _lines(file, "nonbreaking/english.prefixes")
            synsets = _lines(file, "synonym/english.synsets")
            exceptions = _lines(file, "synonym/english.exceptions")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise MetricError(
            f"Cannot read {archive}: {error}",
            hint="Install the extra again: pip install --force-reinstall pycocoevalcap",
        ) from error
    bases: dict[str, list[str]] = {}
    for base, forms in zip(exceptions[::2], exceptions[1::2], strict=True):
        for form in forms.split():
            bases.setdefault(form, []).append(base)
    plain, numeric = _prefixes(prefixes)
    return WordLists(
        function_words=frozenset(function),
        prefixes=plain,
        numeric_prefixes=numeric,
        synsets=dict(zip(synsets[::2], synsets[1::2], strict=True)),
        bases=bases,
    )


def _lines(file: zipfile.ZipFile, name: str) -> list[str]:
    lines = file.read(name).decode("utf-8").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _prefixes(lines: list[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the prefixes, and those that stand before numbers only."""
    plain: set[str] = set()
    numeric: set[str] = set()
    for line in lines:
        word, _, note = line.partition("#")
        if word.strip():
            (numeric if "NUMERIC_ONLY" in note else plain).add(word.strip())
    return frozenset(plain), frozenset(numeric)
