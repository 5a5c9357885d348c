"""The table of synonyms, made from a WordNet of a few words."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from capgen._build import make_wordnet
from capgen.metrics.synonyms import Synonyms

LICENCE = "  1 Use it as  \n  2 you like.  \n"
DATA = {
    "noun": "00001740 03 n 03 car 0 motor_car 0 Ford 1 000 | it has wheels\n"
    "00002000 03 n 01 Paris 0 000 | a city\n",
    "verb": "00000001 29 v 02 go 0 run 0 001 @ 00000002 v 0000 01 + 01 00 | move\n",
    "adj": "00000003 00 s 02 galore(ip) 0 aplenty 0 000 | a lot\n",
    "adv": "00000004 02 r 01 apace 0 000 | fast\n",
}
INDEX = {
    "noun": "car n 1 0 1 1 00001740  \nford n 1 0 1 0 00001740  \n"
    "motor_car n 1 0 1 0 00001740  \nparis n 1 0 1 0 00002000  \n",
    "verb": "go v 1 1 @ 1 1 00000001  \nrun v 1 1 @ 1 1 00000001  \n",
    "adj": "aplenty a 1 0 1 0 00000003  \ngalore a 1 0 1 0 00000003  \n",
    "adv": "apace r 1 0 1 0 00000004  \n",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "dict"
    folder.mkdir()
    for suffix in DATA:
        (folder / f"data.{suffix}").write_text(LICENCE + DATA[suffix])
        (folder / f"index.{suffix}").write_text(LICENCE + INDEX[suffix])
        (folder / f"{suffix}.exc").write_text("went go\nwent to\n" if suffix == "verb" else "")
    return folder


def test_table(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "wordnet"
    monkeypatch.setattr(make_wordnet, "TARGET", target)
    make_wordnet.main([str(source)])
    lines = gzip.decompress((target / "synonyms.txt.gz").read_bytes()).decode().splitlines()
    assert lines == [
        *["=n", "car|ford motor_car", "=v", "go run", "!went to"],
        *["=a", "aplenty galore", "=r", "apace"],
    ]
    assert (target / "LICENSE").read_text() == "Use it as\nyou like.\n"
    table = Synonyms(lines)
    assert table.of("ford") == {"car", "ford"}
    assert table.of("goes") == {"go", "goes", "run"}
    assert table.of("paris") == {"paris"}
    assert "9 lines" in capsys.readouterr().out


def test_an_index_that_does_not_fit(source: Path) -> None:
    (source / "index.adv").write_text("")
    with pytest.raises(ValueError, match="00000004 is not in index"):
        make_wordnet.synsets(source, "adv")
