"""The research data and the oracles, for the tests that have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.metrics import oracles


@pytest.fixture(autouse=True)
def utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Java 17 and older read and write UTF-8."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.fixture(scope="session")
def flickr8k_text(realdata: Path) -> Path:
    """The folder of Flickr8k's captions and splits."""
    return realdata / "flickr8k" / "Flickr8k_text"


@pytest.fixture(scope="session")
def flickr8k(flickr8k_text: Path) -> dict[str, list[str]]:
    """Image → captions of Flickr8k, as written."""
    captions: dict[str, list[str]] = {}
    for line in (flickr8k_text / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines():
        name, caption = line.split("\t")
        captions.setdefault(name.split("#")[0], []).append(caption)
    return captions


@pytest.fixture(scope="session")
def flickr8k_test(flickr8k_text: Path, flickr8k: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same for the 1000 test images."""
    names = (flickr8k_text / "Flickr_8k.testImages.txt").read_text().split()
    return {name: flickr8k[name] for name in names}


@pytest.fixture(scope="session")
def nltk_wordnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """NLTK's own WordNet reader."""
    import nltk

    before = list(nltk.data.path)
    yield oracles.nltk_wordnet(tmp_path_factory.mktemp("nltk"))
    nltk.data.path[:] = before
