"""`capgen alt`: a site's images from scan to a green check, and back byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from capgen.cli.console import Console
from capgen.cli.main import main
from capgen.cli.review import tell_next
from capgen.records import Review
from capgen.reviews.journal import Decision, ImageKey, ReviewJournal, proposed, reviews_path
from capgen.reviews.reviewed_records import read_records
from tests.chat_server import ChatServer, chatting
from tests.minis import draw
from tests.review_servers import change, decide, running

pytestmark = pytest.mark.usefixtures("handlers_put_back")
Run = Callable[..., tuple[int, str, str]]

# ruff: noqa: E501 (pages)
# Where a text goes in (⟦ ⟧ around the image's number), and everything that must not change.
FORMS = {
    ".md": [
        "# Heading\n\nText ![⟦0⟧](/img/0.png) and `![](/img/0.png)`.\n",
        "---\ncover: '![](/img/1.png)'\n---\n\n![⟦1⟧][one] ![kept](/img/0.png)\n\n[one]: /img/1.png\n",
        "> - ![⟦2⟧](</img two/2.png> 'title')\n>   <img src='/img/0.png' alt=''>\n",
        "<p>\n  <img src='/img/0.png'⟪0⟫\n    width=3>\n</p>\n\n```html\n<img src='/img/0.png'>\n```\n",
        "| a | b |\n|---|---|\n| ![⟦0⟧](/img/0.png) | ![⟦1⟧](/img/1.png) |\n",
        '![⟦0⟧]({{ site.baseurl }}/img/0.png)\n{{< figure src="/img/1.png"⟪1⟫ >}}\n',
        "<!-- ![](/img/0.png) -->\n\n    ![](/img/0.png)\n\n[![⟦1⟧](/img/1.png)](x.html)\n",
        "Setext\n===\n\n* ![⟦0⟧\n  ](/img/0.png)\n",
        "\\![](/img/0.png) &amp; \ttab\t![⟦2⟧](/img%20two/2.png)  \nend without a line end",
    ],
    ".mdx": [
        "import x from 'y'\n\n<Image src=\"/img/0.png\"⟪0⟫ width={1 > 0} />\n\n{/* ![](/img/1.png) */}\n",
        "<div>![⟦1⟧](/img/1.png)</div>\n<Image src={x} alt={t('a')} />\n<img {...x} />\n",
    ],
    ".html": [
        '<!DOCTYPE html><title>t</title>\n<IMG SRC=/img/0.png⟪0⟫ class=a><img src="/img/1.png" alt="">\n',
        "<picture><source srcset='/img/1.png'><img srcset='/img/1.png 1x, /img/0.png 2x'⟪0⟫></picture>",
        "<script>'<img src=/img/0.png>'</script><!-- <img src=/img/0.png> --><img src='/img%20two/2.png?v=1'⟪2⟫/>",
    ],
}
FILES = 200
RECORDS = Path("alt-text.jsonl")


def form(template: str, texts: dict[int, str] | None) -> str:
    """Return a page without texts, or with those of the images, by the markup of its template."""
    for number in range(3):
        text = "" if texts is None else texts[number]
        template = template.replace(f"⟦{number}⟧", text)
        template = template.replace(f"⟪{number}⟫", f' alt="{text}"' if text else "")
    # What stood between the brackets of a broken line is replaced.
    return template if texts is None else template.replace(f"{texts[0]}\n  ]", f"{texts[0]}]")


def pages() -> dict[str, tuple[str, bytes, bytes]]:
    """Return name → template, the file's beginning, and its line end, of 200 pages."""
    made = {}
    every = [(suffix, each) for suffix, forms in FORMS.items() for each in forms]
    for number in range(FILES):
        suffix, template = every[number % len(every)]
        mark = b"\xef\xbb\xbf" if number % 3 == 1 else b""
        made[f"content/s{number % 7}/{number}{suffix}"] = (
            template,
            mark,
            b"\r\n" if number % 2 else b"\n",
        )
    return made


def content(
    template: str, mark: bytes, line_end: bytes, texts: dict[int, str] | None = None
) -> bytes:
    return mark + form(template, texts).encode().replace(b"\n", line_end)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    for number, place in enumerate(
        ("static/img/0.png", "static/img/1.png", "static/img two/2.png")
    ):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        draw(number).save(place)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def site(parts: dict[str, str]) -> None:
    for name, text in parts.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8", newline="")


def captions(records: str = "alt-text.jsonl") -> dict[str, str]:
    lines = map(json.loads, Path(records).read_text(encoding="utf-8").splitlines())
    return {Path(line["path"]).name: line["caption"] for line in lines}


def test_only_texts_change_in_200_pages(run: Run) -> None:
    made = pages()
    for name, (template, mark, line_end) in made.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content(template, mark, line_end))
    code, _, told = run("alt", "fill", "content")
    assert code == 0, told
    said = captions()
    texts = {number: said[f"{number}.png"] for number in range(3)}
    for name, (template, mark, line_end) in made.items():
        assert Path(name).read_bytes() == content(template, mark, line_end, texts), name
    code, found, _ = run("alt", "check", "content", "--ignore", "repeated")
    assert (code, found) == (0, "")
    assert run("undo", "capgen-undo.jsonl")[0] == 0
    for name, (template, mark, line_end) in made.items():
        assert Path(name).read_bytes() == content(template, mark, line_end), name


def test_check_finds_what_was_planted(run: Run) -> None:
    site(
        {
            "content/a.md": "![](/img/0.png)\n\n![IMG_0001.jpg](/img/0.png)\n\n![image](/img/0.png)\n",
            "content/b.html": "<img src=/img/0.png alt='photo of a dog'>\n<img src=/img/0.png alt='"
            + "a very long text " * 10
            + "'>\n<img src=/img/0.png alt=''>",
            "content/c.md": "![a cat](/img/0.png) ![A cat.](/img/1.png)\n",
            "content/d.md": "![a bird](/img/0.png) ![a bird](../static/img/0.png)\n",
        }
    )
    Path("content/e.md").write_bytes("![](a.png)".encode("utf-16"))
    code, printed, told = run("alt", "check", "content")
    found = [":".join(line.split(":")[:4]) for line in printed.splitlines()]
    assert code == 1
    assert found == [
        *("content/a.md:1:1: missing", "content/a.md:3:1: file-name"),
        *("content/a.md:5:1: placeholder", "content/b.html:1:1: image-of"),
        *("content/b.html:2:1: too-long", "content/c.md:1:1: repeated"),
        *(
            "content/c.md:1:22: repeated",
            "content/e.md: unreadable: content/e.md: UTF-16 is not read",
        ),
    ]
    assert "8 findings" in told
    code, printed, _ = run("alt", "check", "content", "--format", "json", "--max-characters", "500")
    assert len(json.loads(printed)["findings"]) == 7
    code, printed, _ = run("alt", "check", "content", "--format", "sarif", "-o", "out.sarif")
    log = json.loads(Path("out.sarif").read_text(encoding="utf-8"))
    assert (code, printed, len(log["runs"][0]["results"])) == (1, "", 8)


def test_scan_lists_what_has_no_text(run: Run) -> None:
    site({"content/a.md": "# T\n\n![](/img/0.png) ![](gone.png) ![](https://x.org/a.png) ![b](c)"})
    code, printed, told = run("alt", "scan", "content")
    assert (code, printed.splitlines()) == (
        0,
        [
            "content/a.md:3:1: /img/0.png",
            "content/a.md:3:17: gone.png (no such file)",
            "content/a.md:3:31: https://x.org/a.png (on the web: --download)",
        ],
    )
    assert "4 images in 1 page: 3 without a text, 1 a text" in told
    code, printed, _ = run("alt", "scan", "content", "--json")
    first = json.loads(printed)["images"][0]
    assert (first["file"], first["alt"], first["heading"]) == ("static/img/0.png", "missing", "T")


def test_where_images_are_can_be_told(run: Run) -> None:
    site({"content/a.md": "![](/gone/0.png)\n"})
    _, _, told = run("alt", "scan", "content")
    assert "--image-root FOLDER" in told
    code, _, told = run("alt", "fill", "content")
    assert code == 1 and "--image-root FOLDER" in told
    assert "no image that could be captioned" in told
    # Where one is found, another is not there at all.
    for page in ("![](gone.png)\n", "![](/img/0.png)\n", "![](/gone/0.png) ![](/img/0.png)\n"):
        site({"content/a.md": page})
        assert "--image-root" not in run("alt", "scan", "content")[2]


def test_after_a_review_the_texts_go_into_the_pages(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    site({"content/a.md": "![](/img/0.png)\n"})
    run("alt", "fill", "content", "--dry-run")
    Path("captions.jsonl").write_bytes(Path("alt-text.jsonl").read_bytes())
    for records, told in (("alt-text.jsonl", "capgen alt fill"), ("captions.jsonl", "--sidecar")):
        with running(Path(records)) as server:
            assert decide(server.client, change(0)).status_code == 200
            tell_next(Console(), server.session, Path(records))
        assert told in capsys.readouterr().err


def test_a_dry_run_changes_nothing_and_shows_what_would_change(run: Run) -> None:
    page = "one\n\n![](/img/0.png)\n"
    site({"content/a.md": page})
    code, printed, told = run("alt", "fill", "content", "--dry-run")
    assert (code, Path("content/a.md").read_text(encoding="utf-8")) == (0, page)
    assert f"+![{captions()['0.png']}](/img/0.png)" in printed
    assert "1 text would be written into 1 page" in told
    assert "next: capgen review alt-text.jsonl" in told
    assert not Path("capgen-undo.jsonl").exists()


def test_decisions_of_a_review_are_written_or_left_out(run: Run) -> None:
    site({"content/a.md": "![](/img/0.png)\n![](/img/1.png)\n![](</img two/2.png>)\n"})
    run("alt", "fill", "content", "--dry-run")
    records = list(map(json.loads, Path("alt-text.jsonl").read_text(encoding="utf-8").splitlines()))
    decisions = (("rejected", None), ("edited", "my [own] words"), ("accepted", None))
    with closing(ReviewJournal(reviews_path(Path("alt-text.jsonl")))) as journal:
        for record, (verdict, text) in zip(records, decisions, strict=True):
            said = record["caption"]
            review = Review(verdict=verdict, caption=text or said, proposed=said)
            journal.add([Decision(ImageKey(record["path"], record["sha256"]), review)])
    _, _, told = run("alt", "fill", "content", "--only", "accepted")
    assert Path("content/a.md").read_text(encoding="utf-8") == (
        "![](/img/0.png)\n![my \\[own\\] words](/img/1.png)\n"
        f"![{records[2]['caption']}](</img two/2.png>)\n"
    )
    assert "2 texts written into 1 page; left out: 1 rejected" in told


def decide_about(name: str, verdict: str, text: str) -> None:
    [record] = [each for each in read_records(RECORDS) if Path(each.path or "").name == name]
    review = Review(verdict=verdict, caption=text, proposed=proposed(record))
    with closing(ReviewJournal(reviews_path(RECORDS))) as journal:
        journal.add([Decision(ImageKey.of(record), review)])


@pytest.mark.parametrize("new", [False, True])
def test_what_is_corrected_after_it_was_written_is_written_again(run: Run, new: bool) -> None:
    page = "![](/img/0.png)\n![mine](/img/0.png)\n![](/img/1.png)\n"
    site({"content/a.md": page})
    run("alt", "fill", "content")
    unseen = captions()["1.png"]
    for text in ("my words", "my better words"):
        decide_about("0.png", "edited", text)
        if new:  # with another image that has no text yet, or without one
            site({"content/b.md": "![](</img two/2.png>)\n"})
        assert text in run("alt", "fill", "content", "--dry-run")[1]
        code, _, told = run("alt", "fill", "content")
        assert code == 0 and "written into" in told
        assert Path("content/a.md").read_text(encoding="utf-8") == (
            f"![{text}](/img/0.png)\n![mine](/img/0.png)\n![{unseen}](/img/1.png)\n"
        )
    assert "no image without" in run("alt", "fill", "content")[2]
    assert run("undo", "capgen-undo.jsonl")[0] == 0
    assert Path("content/a.md").read_text(encoding="utf-8") == page


@pytest.mark.parametrize("only", ["accepted", "edited"])
def test_a_text_that_a_person_changed_in_the_page_stays(run: Run, only: str) -> None:
    site({"content/a.md": "![](/img/0.png)\n"})
    run("alt", "fill", "content")
    decide_about("0.png", "edited", "words of the review")
    site({"content/a.md": "![words in the page](/img/0.png)\n"})
    code, _, told = run("alt", "fill", "content", "--only", only)
    assert code == 0 and "no image without" in told
    assert Path("content/a.md").read_text(encoding="utf-8") == "![words in the page](/img/0.png)\n"


@pytest.mark.parametrize("records", ["alt-text.jsonl", "alt.json"])
def test_what_was_written_can_still_be_reviewed(run: Run, records: str) -> None:
    site({"content/a.md": "![](/img/0.png)\n", "content/b.md": "![](/img/1.png)\n"})
    run("alt", "fill", "content", "-o", records)
    site({"content/b.md": "![](</img two/2.png>)\n"})  # 1.png is shown no more
    for _ in range(2):
        run("alt", "fill", "content", "-o", records)
        paths = [Path(each.path or "").name for each in read_records(Path(records))]
        assert paths == ["2.png", "0.png"]


def test_a_second_run_has_nothing_to_do(run: Run) -> None:
    site({"content/a.md": "![](/img/0.png)\n"})
    run("alt", "fill", "content")
    before = Path("content/a.md").read_bytes()
    code, _, told = run("alt", "fill", "content")
    assert (code, Path("content/a.md").read_bytes()) == (0, before)
    assert "no image without alternative text" in told


def test_a_model_is_told_what_the_page_says(run: Run) -> None:
    site({"content/a.md": '# Our "dogs"\n\nRex at the sea.\n\n![](/img/0.png)\n'})
    with chatting(ChatServer()) as server:
        code, _, told = run("alt", "fill", "content", "--endpoint", server.url, "--model", "tiny")
    assert code == 0, told
    [request] = server.requests
    asked = json.dumps(request)
    assert "Write alternative text" in asked
    assert "under the heading" in asked
    assert "Our 'dogs'" in asked
    assert "Rex at the sea." in asked
    [record] = map(json.loads, Path("alt-text.jsonl").read_text(encoding="utf-8").splitlines())
    assert "Rex at the sea." in record["prompt"]


def test_a_drawing_is_left_to_people(run: Run) -> None:
    site({"content/a.md": "![](/img/0.png) ![](logo.svg)\n", "content/logo.svg": "<svg/>"})
    assert "logo.svg (an SVG drawing: write" in run("alt", "scan", "content")[1]
    code, _, told = run("alt", "fill", "content")
    assert code == 1 and "1 text written" in told
    assert "left alone: logo.svg (an SVG drawing" in told
    assert "cannot decode" not in told


def test_captions_of_a_site_have_a_confidence(run: Run) -> None:
    site({"content/a.md": "![](/img/0.png)\n"})
    run("alt", "fill", "content", "--dry-run")
    [record] = map(json.loads, Path("alt-text.jsonl").read_text(encoding="utf-8").splitlines())
    assert 0 <= record["confidence"] <= 1


@pytest.mark.parametrize("command", ["scan", "check", "fill"])
def test_a_folder_of_images_is_not_taken_for_a_site(run: Run, command: str) -> None:
    code, _, told = run("alt", command, "static")
    assert code == 1
    assert "static has no pages" in told and "capgen caption" in told


def test_another_context_is_captioned_anew(run: Run) -> None:
    with chatting(ChatServer()) as server:
        for text in ("One.", "One.", "Two."):
            site({"content/a.md": f"{text}\n\n![](/img/0.png)\n"})
            arguments = ("--endpoint", server.url, "--model", "tiny", "--dry-run")
            assert run("alt", "fill", "content", *arguments)[0] == 0
    assert len(server.requests) == 2


def test_a_page_is_never_replaced_by_records(run: Run) -> None:
    site({"content/a.html": "<img src=/img/0.png>"})
    code, _, told = run("alt", "check", "content", "-o", "content/a.html")
    assert code != 0
    assert Path("content/a.html").read_text(encoding="utf-8") == "<img src=/img/0.png>", told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("scan", "gone"), "no such file"),
        (("scan", "static/img/0.png"), "is no page"),
        (("check", "static", "--ignore", "mising"), "no such rule"),
        (("check", "static", "--format", "xml"), "--format is 'xml'"),
        (("fill", "static", "-o", "x.csv"), "records are .jsonl or .json"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, arguments: tuple[str, ...], told: str) -> None:
    code, _, errors = run("alt", *arguments)
    assert code != 0
    assert told in errors
