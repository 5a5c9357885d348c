"""Write docs/images/killed-run.svg: a recording of a terminal in which a run is killed and goes on.

    python -m tests.bench.killed_run FOLDER

FOLDER has some hundred images, which do not appear in the recording. The commands run in bash, in
a pseudo-terminal; what is drawn is what they wrote, when they wrote it."""

from __future__ import annotations

import argparse
import fcntl
import html
import os
import pty
import select
import shutil
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

RECORDING = Path(__file__).parents[2] / "docs" / "images" / "killed-run.svg"
WIDTH, HEIGHT = 100, 9
PROMPT = "$ "
# The first is killed: `timeout` sends the signal that no program can catch.
COMMANDS = (
    "timeout --signal=KILL {seconds} capgen caption photos/ -o captions.jsonl",
    "capgen caption photos/ -o captions.jsonl",
    "wc -l captions.jsonl",
)
# Frames a second, seconds that a letter takes to be typed, and that a screen is kept at least.
RATE, TYPING, READING = 4.0, 0.04, 1.5
LINE, LETTER, SIZE = 19.0, 8.43, 14
COLOURS = {
    "default": "#d8dee9",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#e5c07b",  # pyte's name of yellow
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
}


@dataclass(frozen=True)
class Frame:
    """A screen, and for how many seconds it is shown."""

    lines: tuple[str, ...]
    seconds: float


class Terminal:
    """bash in a pseudo-terminal, and the screens that it showed.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.screens: list[tuple[float, tuple[str, ...]]] = []
        self._screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.ByteStream(self._screen)
        size = struct.pack("HHHH", HEIGHT, WIDTH, 0, 0)
        number, self._descriptor = pty.fork()
        if number == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.chdir(folder)
            around = {**os.environ, "PS1": PROMPT, "TERM": "xterm-256color"}
            os.execvpe("bash", ["bash", "--norc", "--noprofile"], around)
        self._read_until_prompt()

    def run(self, command: str) -> None:
        """Type a command, and wait until the prompt is back."""
        for letter in command:
            os.write(self._descriptor, letter.encode())
            self._read_for(TYPING)
        self._read_for(READING)
        os.write(self._descriptor, b"\n")
        self._read_for(0.1)
        self._read_until_prompt()
        self._read_for(READING)

    def _read_until_prompt(self) -> None:
        while self._bottom() != PROMPT.rstrip():
            self._read_for(1 / RATE)

    def _bottom(self) -> str:
        """Return the line with the cursor."""
        return self._screen.display[self._screen.cursor.y].rstrip()

    def _read_for(self, seconds: float) -> None:
        """Take what the terminal writes for a while, then look at the screen."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self._descriptor], [], [], left)
            if ready:
                self._stream.feed(os.read(self._descriptor, 65536))
        self.screens.append((time.monotonic(), tuple(self._drawn())))

    def _drawn(self) -> Iterator[str]:
        """Yield each line as SVG, empty if nothing is on it."""
        for y in range(HEIGHT):
            row = self._screen.buffer[y]
            spans: list[tuple[str, bool, str]] = []
            for x in range(WIDTH):
                cell = row[x]
                colour = COLOURS.get(cell.fg, f"#{cell.fg}")  # of the 256 in hexadecimal
                style = (colour, cell.bold)
                text = cell.data or " "
                if spans and spans[-1][:2] == style:
                    spans[-1] = (*style, spans[-1][2] + text)
                else:
                    spans.append((*style, text))
            *whole, (colour, bold, end) = spans
            parts = [*whole, (colour, bold, end.rstrip())]
            yield "".join(_span(*part) for part in parts if part[2])


def _span(colour: str, bold: bool, text: str) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<tspan fill="{colour}"{weight}>{html.escape(text)}</tspan>'


def frames_of(screens: Sequence[tuple[float, tuple[str, ...]]]) -> list[Frame]:
    """Return the screens that differ from the one before, with the time until the next."""
    found: list[Frame] = []
    started = screens[0][0]
    for (_, lines), (ended, after) in zip(screens, [*screens[1:], (0.0, ())], strict=True):
        if after == lines:
            continue
        seconds = 3 * READING if not after else ended - started
        found.append(Frame(lines, round(seconds, 2)))
        started = ended
    return found


def as_svg(frames: Sequence[Frame]) -> str:
    """Draw frames one below the other, and move them past a window.

    Where nothing moves (a preference of the reader, or a program that shows no animations), the
    last frame is shown. A line that several frames have is drawn once.
    """
    width, height = round(WIDTH * LETTER + 24), round(HEIGHT * LINE + 24)
    whole = sum(frame.seconds for frame in frames)
    names: dict[str, str] = {}
    shown: list[str] = []
    steps: list[str] = []
    passed = 0.0
    for number, frame in enumerate(frames):
        top = number * height
        steps.append(f"{100 * passed / whole:.3f}%{{transform:translateY(-{top}px)}}")
        passed += frame.seconds
        for y, line in enumerate(frame.lines):
            if line:
                name = names.setdefault(line, f"l{len(names)}")
                shown.append(f'<use href="#{name}" y="{top + round(y * LINE)}"/>')
    lines = "".join(f'<text id="{name}">{line}</text>' for line, name in names.items())
    last = (len(frames) - 1) * height
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
width="{width}" height="{height}" role="img" font-family="ui-monospace,Menlo,Consolas,\
'DejaVu Sans Mono',monospace" font-size="{SIZE}">
<title>A run over a folder is killed, and the same command goes on where it was</title>
<style>
text{{white-space:pre}}
#all{{transform:translateY(-{last}px)}}
@media (prefers-reduced-motion:no-preference){{
#all{{animation:play {whole:.2f}s step-end infinite}}
}}
@keyframes play{{{"".join(steps)}}}
</style>
<defs>{lines}</defs>
<rect width="{width}" height="{height}" rx="8" fill="#1e222a"/>
<svg x="12" y="12" width="{width - 24}" height="{height - 24}">
<g id="all"><g transform="translate(0,{SIZE})">{"".join(shown)}</g></g>
</svg>
</svg>
"""


def main() -> None:
    """Record the session and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="images")
    parser.add_argument("--seconds", type=int, default=6, help="until the first run is killed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(asked.folder, Path(name) / "photos")
        terminal = Terminal(Path(name))
        for command in COMMANDS:
            terminal.run(command.format(seconds=asked.seconds))
    RECORDING.write_text(as_svg(frames_of(terminal.screens)), encoding="utf-8")
    print(f"{RECORDING}: {RECORDING.stat().st_size:,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
