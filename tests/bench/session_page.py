"""From a cast to a page that reads well without a player."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.bench.session_steps import INTRODUCTION, STEPS

ENDED = re.compile(r"\x1b\]133;D;(\d+)\x07")
# What steers the terminal: OSC … BEL, CSI …, other escapes, carriage return, backspace, newline.
CONTROL = re.compile(r"\x1b\][^\x07]*\x07|\x1b\[([0-9;?]*)([A-Za-z])|\x1b.|\r|\x08|\n")
LONGEST = 26
HEAD, TAIL = 18, 6


@dataclass
class Run:
    """A command of the session.

    Attributes:
        line: As it was typed.
        seconds: From the Enter key to the next prompt.
        code: Its exit code.
        lines: What it left on the screen.
    """

    line: str
    seconds: float
    code: int
    lines: list[str]


def read_cast(path: Path) -> list[Run]:
    """Return the commands that a cast has run, in order."""
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    runs: list[Run] = []
    typed, started, shown = "", 0.0, ""
    for moment, kind, text in events:
        if kind == "m":
            typed, started, shown = text, moment, ""
        elif typed:
            shown += text
            ended = ENDED.search(shown)
            if ended:
                # The first line is the command itself, as the terminal echoes it.
                lines = screen(shown[: ended.start()])[1:]
                runs.append(Run(typed, moment - started, int(ended[1]), lines))
                typed = ""
    return runs


def screen(text: str) -> list[str]:
    """Return the lines that a terminal shows after some output; without wrapping."""
    lines: list[str] = [""]
    row = column = 0
    place = 0
    for control in CONTROL.finditer(text + "\x1b["):
        plain = text[place : control.start()]
        place = control.end()
        line = lines[row].ljust(column)
        lines[row] = line[:column] + plain + line[column + len(plain) :]
        column += len(plain)
        token = control[0]
        amount = int(control[1]) if (control[1] or "").isdigit() else 1
        if token == "\r":
            column = 0
        elif token == "\x08":
            column = max(0, column - 1)
        elif token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif control[2] == "A":
            row = max(0, row - amount)
        elif control[2] == "K":
            lines[row] = "" if control[1] == "2" else lines[row][:column]
    return [line.rstrip() for line in lines]


def page(cast: Path) -> str:
    """Return the page of a cast."""
    runs = iter(read_cast(cast))
    parts = [INTRODUCTION]
    for step in STEPS:
        parts.append(f"## {step.title}\n")
        if step.text:
            parts.append(step.text + "\n")
        for command in step.commands:
            run = next(runs)
            assert run.line == command.line, f"the cast has {run.line!r} for {command.line!r}"
            parts.append(
                f"```{'text' if run.code not in (0, 130) else 'console'}\n{run.line}\n```\n"
            )
            shown = _trimmed(run.lines)
            if shown:
                parts.append("```text\n" + "\n".join(shown) + "\n```\n")
            code = f", exit code {run.code}" if run.code else ""
            parts.append(f"<sub>{run.seconds:.1f} s{code}</sub>\n")
    return "\n".join(parts)


def _trimmed(lines: list[str]) -> list[str]:
    """Leave out empty lines at both ends, and the middle of what is long."""
    while lines and not lines[0]:
        lines = lines[1:]
    while lines and not lines[-1]:
        lines = lines[:-1]
    if len(lines) <= LONGEST:
        return lines
    return [*lines[:HEAD], f"[… {len(lines) - HEAD - TAIL} lines …]", *lines[-TAIL:]]
