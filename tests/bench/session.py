"""Record the newcomer's session: `docs/session.cast` and, from it, `docs/session.md`.

    python -m tests.bench.session --venv VENV --flickr8k FOLDER    records and renders
    python -m tests.bench.session                                  renders only

VENV is a virtual environment with torch and nothing else; capgen is installed into it as the
session's first command, from a copy of this checkout. FOLDER is Flickr8k in its official
layout: a mirror on loopback serves it, and a stand-in for the Hub takes the push. The session
runs in bash on a pseudo-terminal of 80 × 24, with a home of its own.

The cast is asciicast v2. A marker names each command when it is typed, and the sequence
`OSC 133;D;CODE` (FinalTerm's, which terminals ignore or understand) comes when it has ended.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.bench.session_page import page
from tests.bench.session_steps import STEPS, Command
from tests.hub_stand_in import serving as serving_hub
from tests.server import Served
from tests.server import serving as serving_files

ROOT = Path(__file__).parent.parent.parent
CAST = ROOT / "docs" / "session.cast"
PAGE = ROOT / "docs" / "session.md"
WIDTH, HEIGHT = 80, 24
SHOWN_HOME = "/home/you"
TOKEN = "hf_" + "newcomer" * 4  # the stand-in's; no Hub knows it
ENDED = re.compile(r"\x1b\]133;D;(\d+)\x07")
# Between two frames of a progress bar: what is wiped within a blink was never seen.
WIPE = re.compile(r"(?:\r?\x1b\[2K)(?:\x1b\[1A\x1b\[2K)*")
BLINK = 0.25
PATIENCE = 900.0
KEPT = ("PIP_", "OMP_", "GOMP_")  # of the recorder's own environment


class Terminal:
    """Bash on a pseudo-terminal, and what appears on it.

    Args:
        folder: Where it starts.
        environment: Its whole environment.
        hide: Text → what the recording has instead.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], hide: Mapping[str, str]
    ) -> None:
        self.hide = hide
        self.events: list[tuple[float, str, str]] = []
        self._seen = ""
        self._started = time.monotonic()
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], dict(environment))
        size = struct.pack("HHHH", HEIGHT, WIDTH, 0, 0)
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, size)
        self._wait(ENDED)

    def run(self, command: Command) -> None:
        """Type a command, answer what it asks, and wait for its end."""
        self._pause(0.6)
        self._event("m", command.line)
        self._type(command.line + "\n")
        if command.interrupt_at:
            self._wait(re.compile(command.interrupt_at))
            self._type("\x03")
        for question, answer in command.answers:
            self._wait(re.compile(question))
            self._type(answer + "\n")
        ended = self._wait(ENDED)
        if int(ended[1]) != command.code:
            shown = "".join(text for _, _, text in self.events[-8:])
            raise SystemExit(f"{command.line}: code {ended[1]}, not {command.code}\n{shown}")

    def close(self) -> None:
        """End bash."""
        os.close(self._file)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def _wait(self, wanted: re.Pattern[str]) -> re.Match[str]:
        """Wait for something to appear that was not there at the last call."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self._read(BLINK)
            found = wanted.search(self._seen)
            if found:
                self._seen = self._seen[found.end() :]
                return found
        raise SystemExit(f"{wanted.pattern} did not appear; the last was {self._seen[-500:]!r}")

    def _read(self, patience: float) -> None:
        """Take what appears within a blink as one event."""
        if not select.select([self._file], [], [], patience)[0]:
            return
        content = b""
        end = time.monotonic() + BLINK
        while select.select([self._file], [], [], max(0.0, end - time.monotonic()))[0]:
            content += os.read(self._file, 1 << 16)
            if ENDED.search(content.decode(errors="replace")):
                break
        text = content.decode("utf-8", errors="replace")
        self._seen += text
        self._event("o", text)

    def _event(self, kind: str, text: str) -> None:
        for secret, instead in self.hide.items():
            text = text.replace(secret, instead)
        self.events.append((round(time.monotonic() - self._started, 3), kind, kept(text)))


def kept(text: str) -> str:
    """Leave out frames of progress bars that are wiped at once."""
    frames = WIPE.split(text)
    wipes = WIPE.findall(text)
    kept = frames[0]
    for number, (wipe, frame) in enumerate(zip(wipes, frames[1:], strict=True)):
        last = number == len(wipes) - 1
        rows = wipes[number + 1].count("\x1b[1A") if not last else -1
        if last or frame.count("\n") != rows or wipe.count("\x1b[1A") != rows:
            kept += wipe + frame
    return kept


def make_mirror(flickr8k: Path) -> dict[str, bytes]:
    """Pack Flickr8k as its release is."""
    files = {}
    for name, folder in (
        ("Flickr8k_Dataset.zip", "Flicker8k_Dataset"),
        ("Flickr8k_text.zip", "Flickr8k_text"),
    ):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for file in sorted((flickr8k / folder).iterdir()):
                inside = f"{folder}/{file.name}" if name == "Flickr8k_Dataset.zip" else file.name
                archive.write(file, inside)
        files[name] = content.getvalue()
    return files


def record(venv: Path, flickr8k: Path, home: Path) -> list[str]:
    """Go through the session; return the cast's lines."""
    with ExitStack() as stack:
        home.mkdir()
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        checkout = home / "capgen"
        checkout.mkdir()
        packed = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "x", "-C", checkout], input=packed, check=True)
        (home / ".inputrc").write_text("set enable-bracketed-paste off\n")
        mirror = stack.enter_context(serving_files(Served(files=make_mirror(flickr8k))))
        hub = stack.enter_context(serving_hub())
        hub.users = {TOKEN: "you"}
        environment = {
            "HOME": str(home),
            "PATH": f"{venv / 'bin'}:/usr/bin:/bin",
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "PS1": r"\[\e]133;D;$?\a\]$ ",
            "INPUTRC": str(home / ".inputrc"),
            "HISTFILE": "",
            "CAPGEN_MIRROR": mirror.address,
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",  # which the stand-in does not speak
            "PIP_QUIET": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            **{name: value for name, value in os.environ.items() if name.startswith(KEPT)},
        }
        hide = {str(home): SHOWN_HOME, str(venv): "venv", TOKEN: "hf_..."}
        terminal = Terminal(checkout, environment, hide)
        for step in STEPS:
            for command in step.commands:
                print(f"$ {command.line}", flush=True)
                terminal.run(command)
        terminal.close()
    header = {
        "version": 2,
        "width": WIDTH,
        "height": HEIGHT,
        "idle_time_limit": 2.0,
        "title": "capgen: from an image to a model of your own on the Hub",
        "env": {"TERM": "xterm-256color", "SHELL": "/bin/bash"},
    }
    events = [json.dumps(event, ensure_ascii=False) for event in terminal.events]
    return [json.dumps(header), *events]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--venv", type=Path)
    parser.add_argument("--flickr8k", type=Path)
    parser.add_argument("--home", type=Path, default=Path("/tmp/you1"))
    asked = parser.parse_args()
    # Of the same length, or tables lose their shape where a path is replaced.
    assert len(str(asked.home)) == len(SHOWN_HOME)
    if asked.venv is not None:
        assert shutil.which("git"), "the session starts from a checkout"
        lines = record(asked.venv.resolve(), asked.flickr8k, asked.home)
        CAST.write_text("\n".join(lines) + "\n", encoding="utf-8")
    PAGE.write_text(page(CAST), encoding="utf-8")


if __name__ == "__main__":
    main()
