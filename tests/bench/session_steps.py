"""What the newcomer types in the recorded session, and what the page says about it."""

from __future__ import annotations

from dataclasses import dataclass

INTRODUCTION = """# A session

<!-- Made by `python -m tests.bench.session` from session.cast: do not edit. -->

What a newcomer sees who follows the README on a clean machine: every command with what it
printed and how long it took, from Enter to the next prompt. Two cores without a GPU, which other
programs kept busy at the time (so with `OMP_NUM_THREADS=1`). torch was there already, pip's own
output is left out, long output is cut at `[…]`. Flickr8k, its images at 224 × 224, came from a
mirror on the same machine, and the Hub is the stand-in that the tests use, so nothing here waits
for a network.

`asciinema play session.cast` plays [the recording](session.cast).
"""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A line to type.

    Attributes:
        line: The line.
        code: The exit code it must have.
        interrupt_at: Regular expression of what must appear before Ctrl-C is pressed; empty
            for a command that is left alone.
        answers: What it asks (a regular expression), and what is typed then.
    """

    line: str
    code: int = 0
    interrupt_at: str = ""
    answers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Step:
    """A part of the session.

    Attributes:
        title: Its heading.
        text: What the page says about it.
        commands: What is typed.
    """

    title: str
    text: str = ""
    commands: tuple[Command, ...]


def _typed(*lines: str, code: int = 0) -> tuple[Command, ...]:
    return tuple(Command(line=line, code=code) for line in lines)


_TOKEN = "hf_" + "newcomer" * 4
_FIRST = "capgen train --init mini --dataset flickr8k=0.02 --name first"

STEPS = (
    Step(
        title="Install and caption",
        commands=_typed("pip install . && capgen caption docs/images/photographer.jpg"),
    ),
    Step(
        title="One image",
        commands=_typed(
            "cp docs/images/astronaut.jpg photo.jpg",
            "capgen caption photo.jpg --beams 5",
            "capgen caption photo.jpg --diverse 3",
            "capgen caption photo.jpg --scores",
            "capgen caption photo.jpg --explain why.html",
        ),
    ),
    Step(
        title="A folder",
        commands=_typed(
            "mkdir holiday && cp docs/images/{cat,coffee,raccoon,rocket}.jpg holiday/",
            "capgen caption holiday/",
            "capgen caption holiday/ -o captions.json",
            "capgen caption holiday/ -o gallery.html",
            "capgen caption holiday/ --sidecar .txt && ls holiday/",
        ),
    ),
    Step(
        title="Data",
        commands=_typed(
            "capgen data list",
            "capgen data download flickr8k",
            "capgen data info flickr8k",
            "capgen data doctor flickr8k | head -6",
        ),
    ),
    Step(
        title="Train",
        text="A few steps from the bundled captioner on, over a random share of the images: enough "
        "to see the whole way. Ctrl-C stops it in the middle, `--resume` goes on there.",
        commands=(
            Command(
                line=f"{_FIRST} --num-epochs 1 --eval-limit 60",
                code=130,
                interrupt_at=r"(?s)epoch 1/1.*? [1-9]/4",
            ),
            Command(line="capgen train --resume first"),
            Command(line="capgen caption photo.jpg --model first/best-eval"),
        ),
    ),
    Step(
        title="Judge",
        commands=_typed(
            "capgen eval --dataset flickr8k --model first/best-eval --limit 60 --html report.html",
            "capgen models list",
            "capgen models compare first/best-eval mini --dataset flickr8k --limit 60 | head -13",
        ),
    ),
    Step(
        title="Share",
        commands=(
            Command(line="capgen hub push first/best-eval you/first", code=2),
            Command(line="capgen hub login", answers=((r"Access token", _TOKEN),)),
            *_typed(
                "capgen hub push first/best-eval you/first",
                "capgen hub pull you/first",
                "capgen caption photo.jpg --model you/first",
            ),
        ),
    ),
    Step(
        title="Settings, and is all well?",
        commands=_typed(
            "capgen config set beams 5",
            "capgen config show",
            "capgen config unset beams",
            "capgen doctor --offline | head -60",
        ),
    ),
    Step(
        title="Mistakes",
        text="What a slip of the finger leads to.",
        commands=(
            *_typed("capgen caption foto.jpg", "capgen caption README.md", code=1),
            *_typed(
                "capgen caption photo.jpg --beans 5",
                "capgen caption photo.jpg --beams 0",
                code=2,
            ),
            *_typed(
                "capgen caption photo.jpg --model mimi",
                "capgen caption photo.jpg --model frist/best-eval",
                "capgen train --dataset flikr8k",
                code=1,
            ),
        ),
    ),
)
