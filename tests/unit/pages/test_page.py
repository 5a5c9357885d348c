"""Pages from templates: whatever they are given stays text."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jinja2
import pytest

from capgen.pages.page import render, write_page
from tests.minis import draw

TEMPLATES = [
    file for file in resources.files("capgen.pages").joinpath("templates").iterdir()
    if file.name.endswith(".html")
]  # fmt: skip
HOSTILE = "</title><script>alert(1)</script>\"'&"


def test_values_are_escaped() -> None:
    page = render("base.html", title=HOSTILE)
    written = "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;"
    assert f"<title>{written}</title>" in page
    assert f"<h1>{written}</h1>" in page
    assert "<script" not in page


def test_names_that_are_not_text_are_written_out(tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    write_page(page, "base.html", title="\udcff<")
    assert b"<h1>\\udcff&lt;</h1>" in page.read_bytes()


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="title"):
        render("base.html")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_no_template_goes_round_the_escaping(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe|autoescape|Markup|http:|https:", text)
    # An attribute without quotes would end at the first space of a value.
    assert not re.search(r"=\{\{", text)


def test_templates_are_loaded_for_pages_only(tmp_path: Path) -> None:
    draw(1).save(tmp_path / "a.jpg")
    program = """
import sys
from capgen.cli.main import main
print(main(["--help"]), main(["caption", "a.jpg"]), file=sys.stderr)
print("jinja2" in sys.modules)
main(["caption", "a.jpg", "-o", "a.html"])
print("jinja2" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines()[-2:] == ["False", "True"], (done.stdout, done.stderr)
    assert "0 0" in done.stderr
