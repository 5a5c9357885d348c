"""What the pages show: blocks, commands with their output, and examples of `--help`.

A page is README.md or a Markdown file under docs/. This is the one place that reads them.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL = ("console", "sh", "bash")

_BLOCK = re.compile(r"^( *)```(\S*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: Name of the page.
        line: Line of its first content.
        section: The heading above it.
        language: What the fence says, or nothing.
        text: What it holds.
        output: Text of the block that follows at once, if that shows output.
    """

    page: str
    line: int
    section: str
    language: str
    text: str
    output: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a page, as it is typed.

    Attributes:
        text: The command, without prompt and comment.
        place: Page and line.
        output: What the page shows as its output, or nothing.
    """

    text: str
    place: str
    output: str = ""

    @property
    def words(self) -> list[str]:
        """The words that the shell would make of it, operators among them."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        return list(lexer)


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for match in _BLOCK.finditer(text):
        before = text[: match.start()]
        headings = _HEADING.findall(_BLOCK.sub("", before))
        content = textwrap.dedent(match[3])
        block = Block(
            page.name, before.count("\n") + 2, headings[-1] if headings else "", match[2], content
        )
        follows = found and not text[end : match.start()].strip()
        if follows and not match[2] and not _lines(block):
            found[-1] = replace(found[-1], output=content)
        found.append(block)
        end = match.end()
    return found


def commands(block: Block) -> list[Command]:
    """Return the commands of a block; those joined by `&&` one by one."""
    found: list[Command] = []
    lines = _lines(block)
    for number, (line, text, output) in enumerate(lines):
        last = number == len(lines) - 1
        parts = text.split(" && ")
        for part in parts:
            shown = (output or (block.output if last else "")) if part is parts[-1] else ""
            found.append(Command(part, f"{block.page}:{block.line + line}", shown))
    return found


def _lines(block: Block) -> list[tuple[int, str, str]]:
    """Return line number, command and shown output of a block's command lines."""
    text = block.text.replace("\\\n", "  ")
    if re.search(r"^\$ ", text, re.MULTILINE):
        return [
            (text[: m.start()].count("\n"), _bare(m[1]), m[2].strip("\n"))
            for m in re.finditer(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
        ]
    if block.language in SHELL:
        return [(number, _bare(line), "") for number, line in _whole_lines(text)]
    if block.language:
        return []
    starts = re.finditer(r"^capgen .+$", text, re.MULTILINE)
    return [(text[: m.start()].count("\n"), _bare(m[0]), "") for m in starts]


def _whole_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that holds something; open quotes join lines."""
    kept, start = "", 0
    for number, line in enumerate(text.splitlines()):
        start = start if kept else number
        kept = f"{kept}\n{line}" if kept else line
        try:
            if not shlex.split(kept, comments=True):
                kept = ""
                continue
        except ValueError:  # a quotation that goes on
            continue
        yield start, kept
        kept = ""


def _bare(line: str) -> str:
    """Return a line without its comment."""
    bare = re.sub(r"\s+# .*$", "", line).strip()
    return bare if shlex.split(bare) == shlex.split(line, comments=True) else line.strip()


def inline_commands(page: Path) -> list[str]:
    """Return the commands that stand in a page's sentences and tables."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [re.sub(r"\s+", " ", found) for found in re.findall(r"`(capgen [^`]+)`", text)]


def help_examples() -> dict[str, list[str]]:
    """Return the commands that end each command's `--help`."""
    import typer.main

    from capgen.cli.app import build_app

    found: dict[str, list[str]] = {}

    def walk(command: object, path: str) -> None:
        epilog = getattr(command, "epilog", None) or ""
        found[path] = [
            re.sub(r"^Start with:\s+", "", line)
            for line in epilog.splitlines()
            if line.strip() and line != "Examples:"
        ]
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{path} {name}")

    walk(typer.main.get_command(build_app()), "capgen")
    return found
