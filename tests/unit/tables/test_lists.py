"""Lists of captions in one cell, as JSON and pandas write them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.data.dataset import load_dataset
from capgen.errors import DataError
from capgen.tables.lists import texts_in
from tests.colours import plain


@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        ("['a dog', \"a man's hat\"]", ["a dog", "a man's hat"]),
        ("['a dog' 'a cat'\n 'a cow']", ["a dog", "a cat", "a cow"]),
        (" [ 'a dog', ] ", ["a dog"]),
        (r"['it\'s \\ \n \u00e9']", ["it's \\ \n é"]),
        ("['a, dog', nan, None, 'a cat']", ["a, dog", "a cat"]),
        ("[nan, 'a cat']", ["a cat"]),
        ('["a dog", null]', ["a dog"]),
        ("[]", []),
    ],
)
def test_lists_are_several_captions(cell: str, texts: list[str]) -> None:
    assert texts_in(cell) == texts


@pytest.mark.parametrize(
    "cell", ["[a dog] runs", "['tis the season] to be", "[1, 2]", "['a', b]", "a dog", "", "["]
)
def test_a_caption_may_begin_with_a_bracket(cell: str) -> None:
    assert texts_in(cell) == cell


@pytest.mark.parametrize("cell", ["['a dog' runs 'fast']", r"['\U00110000']", "['a',, 'b']"])
def test_a_list_that_cannot_be_read_is_none(cell: str) -> None:
    assert texts_in(cell) is None


@given(st.lists(st.text(max_size=20), max_size=4))
def test_every_list_that_python_shows_is_read(texts: list[str]) -> None:
    assert texts_in(str(texts)) == texts
    assert texts_in(json.dumps(texts)) == texts


def test_a_table_of_pandas_has_every_caption(tmp_path: Path) -> None:
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "captions"])
        for number in range(3):
            plain(tmp_path, f"{number}.png", number + 1)
            writer.writerow([f"{number}.png", str(["a dog", "a man's hat", f"a cat {number}"])])
    dataset = load_dataset(tmp_path)
    assert dataset.examples[0].references == ("a dog", "a man's hat", "a cat 0")
    assert dataset.captions == 9
    (tmp_path / "captions.csv").write_text("image,captions\n0.png,['a dog' runs 'fast']\n")
    with pytest.raises(DataError, match=r"captions\.csv:2: .*no text"):
        load_dataset(tmp_path)
