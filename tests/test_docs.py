"""The documentation holds: links lead somewhere, commands and options exist."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest

from capgen._build import make_reference
from capgen._build.api_page import PLACES
from capgen.cli.app import build_app
from capgen.cli.user_defaults import known_settings
from capgen.config.fields import flag_name
from tests import pages
from tests.pages import ROOT

PAGES = [*pages.PAGES, ROOT / "CHANGELOG.md"]
DOCS = ROOT / "docs"
# Pages that are generated, and the words that all others may have together.
GENERATED = ("api.md", "cli.md", "licences.md", "records.md")
MOST_WORDS = 20_000
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


def test_the_contents_name_every_page() -> None:
    linked = [file for file, _ in LINK.findall((DOCS / "index.md").read_text(encoding="utf-8"))]
    assert len(linked) == len(set(linked))
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= set(linked)


def test_the_pages_are_no_longer_than_a_short_book() -> None:
    """What is generated does not count, nor does the generated part of a page."""
    words = {}
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        before, begin, rest = text.partition(make_reference.MADE)
        if begin:
            text = before + rest.partition(make_reference.END)[2]
        words[page.name] = len(text.split())
    written = sum(count for name, count in words.items() if name not in GENERATED)
    longest = sorted(words.items(), key=lambda item: -item[1])
    assert set(GENERATED) < set(words)
    assert written <= MOST_WORDS, f"{written} words; the longest pages: {longest}"


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
        while len(words) > 2 and words[0].startswith("--log-") and "COMMAND" not in words:
            assert words[0] in known[()], command
            del words[:2]
        while words and (*path, words[0]) in known:
            path = (*path, words.pop(0))
        # COMMAND and … stand for any.
        assert path or re.match(r"capgen (-|COMMAND|…)", command), command
        for word in words:
            if re.match(r"--?[a-z]", word):
                assert word.split("=")[0] in known[path], f"{command}: {word}"


@pytest.mark.parametrize("name", ["cli.md", "api.md"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    made = make_reference.pages()[name]
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made, (
        "run: python -m capgen._build.make_reference"
    )


def test_the_page_of_commands_has_every_option_and_marks_the_settings() -> None:
    import typer.main

    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    settings = known_settings(typer.main.get_command(build_app()))
    sections = re.split(r"^## capgen ?", page, flags=re.MULTILINE)[1:]
    shown = {tuple(text.split("\n", 1)[0].split()): text.split("```")[0] for text in sections}
    assert set(shown) == set(known_options())
    for path, options in known_options().items():
        listed = set(re.findall(r"`(--?[a-z0-9-]+)`", shown[path]))
        # A reference to another command gives an option's first name only.
        wanted = {name for name in options if re.match("--(?!no-|help$)", name)}
        assert wanted <= listed, path
        marked = re.findall(r"^- (.+?)\\\*: ", shown[path], re.MULTILINE)
        flags = {flag for names in marked for flag in re.findall(r"`(--[a-z0-9-]+)`", names)}
        for flag in map(flag_name, settings.get(".".join(path), ())):
            if flag not in options:
                assert path == ("calibrate",)  # whose argument is the setting `model`
                continue
            assert flag in flags or re.search(
                rf"^As for .* `{flag}`[,.]", shown[path], re.MULTILINE
            )


def private_imports(code: str) -> list[str]:
    """Return what some Python imports of capgen that is not public."""
    places = {*PLACES, "capgen.errors"}
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found += [name for name in names if name.startswith("capgen.") and name not in places]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "capgen":
            module = importlib.import_module(node.module or "")
            known = getattr(module, "__all__", vars(module)) if node.module in places else ()
            found += [f"{node.module}.{a.name}" for a in node.names if a.name not in known]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_import_public_names_from_public_places_only(page: Path) -> None:
    code = [block.text for block in pages.blocks(page) if block.language == "python"]
    assert page.name == "api.md" or not [name for text in code for name in private_imports(text)]


def test_private_imports_are_seen() -> None:
    code = (
        "from capgen.training.run.train import train\nfrom capgen import Captioner, beam_search\n"
    )
    assert private_imports(code) == ["capgen.training.run.train.train", "capgen.beam_search"]


@pytest.mark.parametrize("place", PLACES)
def test_public_names_load_and_none_is_hidden_by_a_module(place: str) -> None:
    package = importlib.import_module(place)
    folder = Path(str(package.__file__)).parent
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert not (folder / f"{name}.py").exists() and not (folder / name).is_dir()


def test_there_are_commands_to_check() -> None:
    assert sum(len(capgen_commands(page)) for page in PAGES) > 150
