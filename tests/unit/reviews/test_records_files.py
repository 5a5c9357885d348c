"""Records in every form that files have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.errors import DataError
from capgen.output.formats import open_format
from capgen.records import Caption, CaptionFailure, Record, Review
from capgen.reviews.journal import reviews_path
from capgen.reviews.reviewed_records import read_records

CAPTIONS: list[Record] = [
    Caption(
        path="ferien/hund.jpg",
        text='a "brown", muddy dog; with a ball',
        score=-0.5,
        log_probability=-4.5,
        alternatives=(Caption(text="a dog", score=-0.7, log_probability=-5.0),),
        width=640,
        height=480,
        sha256="ab" * 32,
        model="mini",
        revision="sha256:cd",
        settings={"beams": 3},
        confidence=0.5,
    ),
    Caption(path="-x.jpg", text="=a formula", score=None, log_probability=None),
    Caption(path="zwei\nzeilen.jpg", text="two lines", score=None, log_probability=None),
    CaptionFailure(path="kaputt.jpg", code="truncated", message="kaputt.jpg: cut off"),
]


def written(folder: Path, name: str, records: list[Record] = CAPTIONS) -> Path:
    path = folder / name
    formats = {".html": "html", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
    with open_format(path, formats.get(path.suffix, "jsonl")) as write:
        for record in records:
            write(record, None)
    return path


def texts(records: list[Record]) -> list[tuple[str | None, str]]:
    return [
        (record.path, record.text if isinstance(record, Caption) else record.code)
        for record in records
    ]


def captions(records: list[Record]) -> list[Caption]:
    return [record for record in records if isinstance(record, Caption)]


@pytest.mark.parametrize("name", ["c.jsonl", "c.json", "c.html", "c.csv", "c.parquet"])
def test_what_capgen_writes_is_read(tmp_path: Path, name: str) -> None:
    records = read_records(written(tmp_path, name))
    assert texts(records) == texts(CAPTIONS)
    first = captions(records)[0]
    assert (first.sha256, first.model, first.revision) == ("ab" * 32, "mini", "sha256:cd")
    assert (first.score, first.confidence, first.review) == (-0.5, 0.5, None)
    if name != "c.html":
        found = [(other.text, other.score) for other in first.alternatives]
        assert found == [("a dog", -0.7)]
        assert (first.width, first.settings) == (640, {"beams": 3})


def excel(text: str, encoding: str, delimiter: str) -> bytes:
    """Save a table as a spreadsheet does: other delimiters, line ends and number commas."""
    import csv
    import io

    rows = csv.reader(io.StringIO(text, newline=""))
    saved = io.StringIO(newline="")
    table = csv.writer(saved, delimiter=delimiter, lineterminator="\r\n")
    for row in rows:
        table.writerow([cell.replace("0.5", "0,5") if cell == "0.5" else cell for cell in row])
    return saved.getvalue().encode(encoding)


@pytest.mark.parametrize(
    ("name", "encoding", "delimiter"),
    [
        ("c.csv", "utf-8-sig", ";"),
        ("c.csv", "utf-8-sig", ","),
        ("c.csv", "cp1252", ";"),
        ("c.tsv", "utf-16", "\t"),
    ],
)
def test_a_table_that_a_spreadsheet_saved_again(
    tmp_path: Path, name: str, encoding: str, delimiter: str
) -> None:
    csv = written(tmp_path, "c.csv")
    text = csv.read_text(encoding="utf-8").replace("two lines", "zwölf Zeilen")
    path = tmp_path / name
    path.write_bytes(excel(text, encoding, delimiter))
    records = read_records(path)
    assert texts(records)[1:3] == [("-x.jpg", "=a formula"), ("zwei\nzeilen.jpg", "zwölf Zeilen")]
    assert captions(records)[0].confidence == 0.5
    assert captions(records)[0].text == captions(CAPTIONS)[0].text


def test_a_name_that_is_no_text_keeps_its_bytes(tmp_path: Path) -> None:
    record = Caption(path="\udcfc.jpg", text="a dog", score=None, log_probability=None)
    for name in ("c.csv", "c.jsonl", "c.json"):
        assert read_records(written(tmp_path, name, [record]))[0].path == "\udcfc.jpg"


def table(folder: Path, text: str, name: str = "t.csv") -> list[Record]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_records(path)


def test_tables_of_others(tmp_path: Path) -> None:
    assert texts(table(tmp_path, "img_path;Text\na.jpg;a dog\nb.jpg;a cat, asleep\n")) == [
        ("a.jpg", "a dog"),
        ("b.jpg", "a cat, asleep"),
    ]
    assert texts(table(tmp_path, "a.jpg\ta dog\n", "t.tsv")) == [("a.jpg", "a dog")]
    lines = '{"file_name": "a.jpg", "text": "a dog"}\n'
    assert texts(table(tmp_path, lines, "metadata.jsonl")) == [("a.jpg", "a dog")]


def test_an_image_without_a_caption_is_named(tmp_path: Path) -> None:
    last = table(tmp_path, "path,caption\na.jpg,a dog\nb\u0007.jpg,\n")[-1]
    assert isinstance(last, CaptionFailure)
    assert (last.path, last.message) == ("b\a.jpg", r"'b\x07.jpg' has no caption")


def test_verdicts_in_a_table(tmp_path: Path) -> None:
    records = table(
        tmp_path,
        "path,caption,Verdict,proposed\na.jpg,a dog,x,\nb.jpg,a cat,ok,a dog\nc.jpg,a cow,no,\n"
        "d.jpg,a cup,,a mug\ne.jpg,a hat,,a hat\nf.jpg,a bus,perhaps,\n",
    )
    reviews = [record.review for record in captions(records)]
    assert reviews == [
        Review(verdict="accepted", proposed="a dog", caption="a dog"),
        Review(verdict="edited", proposed="a dog", caption="a cat"),
        Review(verdict="rejected", proposed="a cow", caption="a cow"),
        Review(verdict="edited", proposed="a mug", caption="a cup"),
        None,
    ]
    fault = records[-1]
    assert isinstance(fault, CaptionFailure)
    assert fault.path == f"{tmp_path / 't.csv'}:7"
    assert fault.code == "malformed"
    assert "the verdict 'perhaps'" in fault.message


def test_a_caption_for_a_failed_image_is_a_persons(tmp_path: Path) -> None:
    text = "path,caption,error_code\na.jpg,a dog,low_confidence\nb.jpg,a cat,metadata\n"
    first, second = captions(table(tmp_path, text))
    assert first.review == Review(verdict="edited", proposed=None, caption="a dog")
    assert second.review is None


@pytest.mark.parametrize(
    ("name", "text", "faults"),
    [
        ("c.jsonl", '{"path": "a.jpg", "caption": "a"}\nnonsense\n\n[1]\n', {2, 4}),
        ("c.jsonl", '{"path": "a.jpg", "caption": 7}\n{"path": "a.jpg", "caption": "a"}\n', {1}),
        ("c.json", '[\n{"path": "a.jpg", "caption": "a"},\n{"path": "b.jpg" "c"}\n]\n', {3}),
        ("c.csv", 'path,caption\na.jpg,a\nb.jpg,"b\nc.jpg,c\nd.jpg,d,e\n,f\n', {3, 5, 6}),
    ],
)
def test_a_bad_line_is_told_and_the_others_read(
    tmp_path: Path, name: str, text: str, faults: set[int]
) -> None:
    records = table(tmp_path, text, name)
    failures = [record for record in records if isinstance(record, CaptionFailure)]
    assert {failure.path for failure in failures} == {f"{tmp_path / name}:{n}" for n in faults}
    assert all(failure.message.startswith(f"{failure.path}: ") for failure in failures)
    assert captions(records)


@pytest.mark.parametrize(
    "wrong",
    [
        *('"confidence": NaN', '"confidence": 1e999', '"confidence": -0.1', '"confidence": "high"'),
        *('"sha256": 5', '"model": ["mini"]', '"alternatives": [{"caption": 5}]'),
        '"tokens": [{"id": 1, "text": 5, "log_probability": -0.5}]',
        '"concepts": [{"name": 5, "probability": 0.5}]',
        '"review": {"verdict": "accepted", "proposed": 5}',
    ],
)
def test_values_that_a_page_could_not_show_are_faults(tmp_path: Path, wrong: str) -> None:
    good = '{"path": "a.jpg", "caption": "a dog", "confidence": 1}\n'
    line = f'{{"path": "b.jpg", "caption": "a cat", {wrong}}}\n'
    first, second = table(tmp_path, good + line, "c.jsonl")
    assert isinstance(first, Caption)
    assert isinstance(second, CaptionFailure)
    assert second.code == "malformed"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.jsonl", "nonsense\n", "c.jsonl:1: not JSON"),
        ("c.jsonl", "", "has no captions"),
        ("c.json", '{"a": 1', "c.json:1: not valid JSON"),
        ("c.csv", "path,size\na.jpg,5\n", "no column of captions among path, size"),
        ("c.csv", "", "has no captions"),
        ("c.html", "<html></html>", "is not a gallery"),
        ("c.docx", "x", "'.docx' is no kind of file with captions"),
        ("u.jsonl", '{"path": "a.jpg", "sha256_before": null}', "a line of an undo file"),
        ("r.jsonl", '{"kind": "capgen-review"}', "give the records beside it"),
        ("c.parquet", "x", "is not a Parquet file"),
    ],
)
def test_a_file_without_records_is_an_error_that_helps(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        table(tmp_path, text, name)
    assert message in caught.value.message
    assert "capgen caption -o" in caught.value.hint or "not valid JSON" in message


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path / "none.html", tmp_path / "folder.csv"):
        if path.suffix == ".csv":
            path.mkdir()
        with pytest.raises(DataError, match="Cannot read"):
            read_records(path)


def test_a_folder_of_images_and_a_missing_file_without_a_suffix(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is a folder") as caught:
        read_records(tmp_path)
    assert "capgen caption FOLDER" in caught.value.hint
    with pytest.raises(DataError, match=r"Cannot read .*captions: No such file"):
        read_records(tmp_path / "captions")


def test_an_unfinished_run(tmp_path: Path) -> None:
    path = written(tmp_path, "c.csv.journal", CAPTIONS)
    better = Caption(path="-x.jpg", text="better", score=None, log_probability=None)
    line = json.dumps(better.to_dict())
    path.write_bytes(path.read_bytes() + line.encode() + b"\n" + line.encode()[:40])
    assert texts(read_records(path))[1] == ("-x.jpg", "better")
    assert len(read_records(path)) == len(CAPTIONS)
    assert reviews_path(path) == tmp_path / "c.csv.reviews"


def test_lines_of_other_encodings(tmp_path: Path) -> None:
    line = '{"path": "ä.jpg", "caption": "ein Bär"}\n'
    for encoding in ("utf-16", "utf-8-sig"):  # as PowerShell redirects
        path = tmp_path / "c.jsonl"
        path.write_bytes(line.encode(encoding))
        assert texts(read_records(path)) == [("ä.jpg", "ein Bär")]
    path.write_bytes((line + line).encode().replace("ä".encode(), b"\xe4", 1))
    records = read_records(path)
    assert texts(records)[0] == (f"{path}:1", "malformed")
    assert texts(records)[1] == ("ä.jpg", "ein Bär")


def test_a_gallerys_export(tmp_path: Path) -> None:
    line = {"path": "a.jpg", "sha256": "00", "caption": "mine", "original": "a dog", "score": -1.0}
    records = table(tmp_path, json.dumps(line) + "\n", "captions-edited.jsonl")
    assert captions(records)[0].review == Review(verdict="edited", proposed="a dog", caption="mine")


def test_a_gallery_with_quotes_and_markup(tmp_path: Path) -> None:
    text = 'a "sign" <li class="card" data-record="{}"> & \'more\''
    record = Caption(path='"><b>.jpg', text=text, score=None, log_probability=None)
    assert texts(read_records(written(tmp_path, "g.html", [record]))) == [('"><b>.jpg', text)]
