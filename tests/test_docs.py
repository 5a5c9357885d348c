"""The documentation holds: links lead somewhere, commands and options exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from capgen.cli.app import build_app
from tests import pages
from tests.pages import ROOT

PAGES = [*pages.PAGES, ROOT / "CHANGELOG.md"]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def capgen_commands(page: Path) -> list[str]:
    """Return the capgen commands of a page's code blocks and sentences."""
    shown = [command.text for block in pages.blocks(page) for command in pages.commands(block)]
    return [text for text in [*shown, *pages.inline_commands(page)] if text.startswith("capgen ")]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for file, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        assert target.exists(), file
        if anchor:
            assert anchor in anchors(target), f"{file}#{anchor}"


def test_the_ci_runs_the_commands_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    lines = (ROOT / "README.md").read_text().splitlines()
    found = [line for line in lines if line.startswith("pip install") and "&&" in line]
    assert len(found) == 2
    for command in found:
        install, run = command.split("&&")
        assert install.split("pip install")[1].strip() in ci
        assert run.strip() in ci


def known_options() -> dict[tuple[str, ...], set[str]]:
    """Return the options of every command by its path."""
    import typer.main

    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command: object, path: tuple[str, ...]) -> None:
        options = {name for item in command.params for name in (*item.opts, *item.secondary_opts)}  # type: ignore[attr-defined]
        found[path] = options | {"--help", "-h"}
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*path, name))

    walk(typer.main.get_command(build_app()), ())
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    known = known_options()
    for command in capgen_commands(page):
        words = shlex.split(command)[1:]
        path: tuple[str, ...] = ()
        while words and (*path, words[0]) in known:
            path = (*path, words.pop(0))
        # COMMAND and … stand for any.
        assert path or re.match(r"capgen (-|COMMAND|…)", command), command
        for word in words:
            if re.match(r"--?[a-z]", word):
                assert word.split("=")[0] in known[path], f"{command}: {word}"


@pytest.mark.parametrize("name", ["cli.md", "settings.md", "api.md"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    from capgen._build import make_reference

    made = make_reference.pages()[name]
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made, (
        "run: python -m capgen._build.make_reference"
    )


def test_there_are_commands_to_check() -> None:
    assert sum(len(capgen_commands(page)) for page in PAGES) > 150
