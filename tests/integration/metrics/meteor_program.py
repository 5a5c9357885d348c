"""The official METEOR 1.5 as an oracle: its statistics of captions, through its own pipe."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from capgen.metrics.corpus import Floats, Integers
from tests.integration.metrics import fuzz

# An empty caption or reference is sent as it is; a line break would end the question.
_COMMAND = ["java", "-Dfile.encoding=UTF-8", "-Xmx2G", "-jar", "meteor-1.5.jar"]
_OPTIONS = ["-", "-", "-stdio", "-l", "en", "-norm"]


class MeteorProgram:
    """The running program."""

    def __init__(self) -> None:
        import pycocoevalcap.meteor.meteor as module

        self._process = subprocess.Popen(
            [*_COMMAND, *_OPTIONS],
            cwd=Path(module.__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    def __enter__(self) -> MeteorProgram:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def statistics(self, caption: str, references: Sequence[str]) -> str:
        """Return the program's counts of a caption, as it prints them."""
        caption = caption.replace("|||", "").replace("  ", " ")
        return self._ask(" ||| ".join(["SCORE", *references, caption]))

    def scores(self, statistics: Sequence[str]) -> tuple[Floats, float]:
        """Return the scores of captions, and of all together."""
        first = float(self._ask(" ||| ".join(["EVAL", *statistics])))
        rest = [float(self._read()) for _ in statistics]
        return np.array([first, *rest[:-1]]), rest[-1]

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


def counts_of(statistics: Sequence[str]) -> Integers:
    """Return the (captions, 23) counts that the program printed."""
    return np.array([[int(float(n)) for n in line.split()] for line in statistics], np.int64)


def fuzzed_pairs(count: int, seed: int) -> list[tuple[str, list[str]]]:
    """Return captions with 1 to 20 references: strange strings, and mixtures of their words."""
    chance = random.Random(seed)
    texts = fuzz.strings(4 * count, seed)
    texts += ["", " ", ".", "...", "a", "the the the the", "\u00a0", "-", "'", "1,000.5 km"]
    words = [*fuzz.WORDS, *"dog dogs run running ran runs a a a the the of in on is was".split()]  # noqa: SIM905
    pairs = []
    for _ in range(count):
        makers = [
            lambda: chance.choice(texts),
            lambda: " ".join(chance.choices(words, k=chance.randint(0, 14))),
            lambda: " ".join(chance.choices("a b a b c d".split(), k=chance.randint(1, 12))),  # noqa: SIM905
        ]
        make = chance.choice(makers)
        caption = make()
        size = chance.choice([1, 1, 2, 3, 5, 20])
        references = [make() if chance.random() < 0.7 else caption for _ in range(size)]
        if chance.random() < 0.3:  # the same words in another order
            shuffled = caption.split()
            chance.shuffle(shuffled)
            references[0] = " ".join(shuffled)
        pairs.append((caption, [line.replace("|||", "") for line in references]))
    return [pair for pair in pairs if not any({"\n", "\r"} & set(t) for t in (pair[0], *pair[1]))]
