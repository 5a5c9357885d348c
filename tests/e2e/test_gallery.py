"""The gallery in a real browser, where one is installed."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from capgen.config import TagOptions
from capgen.images.thumbnails import thumbnail
from capgen.output.gallery import open_gallery
from capgen.records import Caption, CaptionFailure, Concept
from tests.browser import browse, needs_browser
from tests.minis import draw

pytestmark = needs_browser

# What a user does, in the page itself; what came of it ends up in an element of its own.
ACTIONS = """
const press = (key) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const places = [];
const place = () => places.push(
  [...list.children].indexOf(document.activeElement.closest(".card")));
list.querySelector('[tabindex="0"]').focus(); place();
for (const key of ["ArrowRight", "End", "ArrowLeft", "Home"]) { press(key); place(); }
press("Enter");
const typed = document.activeElement;
typed.value = 'my "own" <words>';
typed.dispatchEvent(new Event("input", { bubbles: true }));
press("Escape"); place();
const filter2 = document.getElementById("filter");
filter2.value = "OWN"; filter2.dispatchEvent(new Event("input"));
const result = document.createElement("pre");
result.id = "result";
result.textContent = JSON.stringify({ places, tag: typed.tagName, lines: exported(),
  shown: shown().length, alt: list.querySelector("img").alt,
  counts: document.getElementById("counts").textContent });
document.body.append(result);
"""


FILTERED = """
filter.value = "BEAR"; filter.dispatchEvent(new Event("input"));
const result = document.createElement("pre");
result.id = "result";
result.textContent = shown().map((card) => records.get(card).path + " " +
  card.querySelector(".tags").textContent).join();
document.body.append(result);
"""


def test_the_filter_finds_tags(tmp_path: Path) -> None:
    page = tmp_path / "gallery.html"
    with open_gallery(page, TagOptions(tags=True)) as write:
        for number, name in enumerate(("<b>bear", "sofa", "bearing")):
            caption = Caption(
                path=f"{number}.jpg",
                text="a dog",
                score=-1.0,
                log_probability=-1,
                concepts=(Concept(name, 0.9 if number < 2 else 0.4),),
            )
            write(caption, thumbnail(draw(number)))
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</script>", FILTERED + "</script>"), encoding="utf-8")
    document, errors = browse(page, tmp_path / "profile", "--dump-dom", "--window-size=1000,700")
    assert "CONSOLE" not in errors
    assert re.findall(r'<pre id="result">(.*?)</pre>', document) == ["0.jpg &lt;b&gt;bear"]


def test_gallery_in_a_browser(tmp_path: Path) -> None:
    page = tmp_path / "gallery.html"
    with open_gallery(page) as write:
        for number in range(5):
            caption = Caption(
                path=f"{number}<&>.jpg", text=f"caption {number}", score=-number, log_probability=-1
            )
            write(caption, thumbnail(draw(number)))
        write(CaptionFailure(path="bad.jpg", code="missing", message="gone"), None)
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</script>", ACTIONS + "</script>"), encoding="utf-8")
    document, errors = browse(page, tmp_path / "profile", "--dump-dom", "--window-size=1000,700")
    assert "CONSOLE" not in errors
    found = re.search(r'<pre id="result">(.*?)</pre>', document, re.DOTALL)
    assert found is not None
    result = json.loads(html.unescape(found[1]))
    assert result["places"] == [0, 1, 5, 4, 0, 0]
    assert result["tag"] == "TEXTAREA"
    assert result["counts"] == "5 captioned, 1 failed, 1 edited, 1 shown"
    assert (result["shown"], result["alt"]) == (1, 'my "own" <words>')
    lines = [json.loads(line) for line in result["lines"].splitlines()]
    assert [line["path"] for line in lines[:2]] == ["0<&>.jpg", "1<&>.jpg"]
    assert (lines[0]["caption"], lines[0]["original"]) == ('my "own" <words>', "caption 0")
    assert "original" not in lines[1]
    assert lines[5]["error"]["code"] == "missing"
