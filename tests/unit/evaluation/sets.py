"""Images and references made for the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.systems import Outcome
from capgen.records import CaptionFailure, Example
from tests.minis import draw

REFERENCES = {
    "dog.jpg": ("a dog runs over the grass", "a brown dog is running on grass"),
    "cat.jpg": ("a cat sleeps on a red chair", "the cat lies on a chair"),
    "boat.jpg": ("two boats are on the water", "boats on a quiet lake"),
    "tree.jpg": ("a tall tree stands by a house", "a house with a tree in front"),
    "ball.jpg": ("a child throws a blue ball", "the child plays with a ball"),
    "bird.jpg": ("a bird sits on a branch", "a small bird on a thin branch"),
}
GOOD = {name: references[0] for name, references in REFERENCES.items()}
POOR = {
    "dog.jpg": "a dog runs over the grass",
    "cat.jpg": "a dog on the grass",
    "boat.jpg": "a man in a boat on the water",
    "tree.jpg": "a house",
    "ball.jpg": "a child plays",
    "bird.jpg": "a plane in the sky",
}


def make_set(folder: Path | None = None, **changes: Any) -> EvaluationSet:
    """Return the images above, drawn into a folder if one is given."""
    pool = []
    for number, (name, references) in enumerate(REFERENCES.items()):
        image = (folder or Path("nowhere")) / name
        if folder is not None:
            draw(number).save(image)
        pool.append(Example(image_id=name, image=image, references=references, split="test"))
    return EvaluationSet(**{"name": "drawn", "split": "test", "pool": tuple(pool)} | changes)


class Scripted:
    """A system with scripted captions; None is an image that it cannot caption."""

    computes = True

    def __init__(self, captions: Mapping[str, str | None], name: str = "scripted") -> None:
        self.name = name
        self._captions = captions

    def captions(self, data: EvaluationSet) -> Iterator[tuple[str, Outcome]]:
        for example in data.examples:
            said = self._captions[example.image_id]
            failure = CaptionFailure(
                path=str(example.image), code="truncated", message=f"{example.image}: broken"
            )
            yield example.image_id, failure if said is None else said

    def describe(self) -> dict[str, Any]:
        return {"kind": "model", "name": self.name}

    def attention(self, example: Any, caption: Any) -> None:
        return None
