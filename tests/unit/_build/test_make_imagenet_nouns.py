"""The nouns of ImageNet's classes, made from a WordNet of a few synsets."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from capgen._build import make_imagenet_nouns

NOUNS = """\
  1 the licence
00000001 05 n 02 Golden_Retriever 0 goldie 0 002 @ 00000002 n 0000 ~ 00000009 n 0000 | a dog
00000002 05 n 01 dog 0 002 @ 00000003 n 0000 @ 00000004 n 0000 | it barks
00000003 05 n 01 canine 0 001 @ 00000005 n 0000 | has teeth
00000004 05 n 02 pet 0 dog 0 001 @ 00000005 n 0000 | at home
00000005 05 n 01 animal 0 000 | it lives
00000006 15 n 01 Rover 0 001 @i 00000002 n 0000 | a dog
00000009 05 n 01 puppy 0 001 @ 00000001 n 0000 | young
"""


def test_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.noun").write_text(NOUNS)
    (tmp_path / "classes.txt").write_text("n00000001\nn00000006\n")
    monkeypatch.setattr(make_imagenet_nouns, "TARGET", tmp_path)
    made = []
    for _ in range(2):
        make_imagenet_nouns.main([str(tmp_path), str(tmp_path / "classes.txt")])
        made.append((tmp_path / "imagenet_nouns.txt.gz").read_bytes())
    assert made[0] == made[1]
    # Both hypernyms of the dog are one step up; no name comes twice, and no hyponym comes.
    assert gzip.decompress(made[0]).decode().splitlines() == [
        "n00000001|golden retriever,goldie|dog|canine,pet|animal",
        "n00000006|rover|dog|canine,pet|animal",
    ]
    assert "2 classes" in capsys.readouterr().out
