"""CIDEr, CIDEr-D, CIDEr-R, self-CIDEr, CHAIR and SPIDEr against what their authors' programs say.

The captions are made up. The numbers come from the programs named at each test, moved to
Python 3 with the arithmetic as it is. All but CHAIR's were given PTB's tokens, as they expect.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import capgen.metrics.official as official
from capgen.config.evaluation import JavaLimits
from capgen.metrics.chair import ObjectTable, SceneObjects, chair
from capgen.metrics.cider import DocumentFrequencies, cider, cider_d, cider_r
from capgen.metrics.corpus import Corpus, Floats
from capgen.metrics.n_best import self_cider
from capgen.metrics.ptb.tokenizer import tokenize
from capgen.metrics.score import score_captions

REFERENCES = {
    "kitchen": [
        "A woman slices bread on the wooden counter.",
        "Someone in a blue apron cuts a loaf of bread.",
    ],
    "harbour": [
        "Two small boats rest in a quiet harbour.",
        "The boats in the harbour are red and white.",
        "A harbour with boats at sunrise.",
    ],
    "road": ["A yellow bus waits at the corner of the road."],
    "park": [
        "A dog and a dog owner play in the park.",
        "A brown dog chases a ball across the grass.",
    ],
}
# Words said twice, and captions longer and shorter than the references.
PREDICTIONS = {
    "kitchen": "A woman cuts a loaf of bread on the counter",
    "harbour": "Two boats and two boats in a harbour",
    "road": "A bus, a yellow bus, waits",
    "park": "A dog chases a dog in the park in the park.",
}
# vrama91/cider, pyciderevalcap/cider.
CIDER = [3.5232980181038123, 1.6163900804469775, 4.288238750380039, 2.793618951031125]
# pycocoevalcap's Cider, and the same from aac-metrics 0.6.0.
CIDER_D = [3.4438922596731047, 1.1159801640134936, 3.085276934727003, 2.1376291390023194]
# gabrielsantosrv/coco-caption, pycocoevalcap/ciderR, with lengths in words: so it gives the numbers
# that its authors print in toy_candidate_classification_results.csv.
CIDER_R = [3.4183357500799505, 0.9417511361190023, 2.828099048015021, 1.6094611052027399]
# qingzwang/DiversityMetrics, pycocoevalcap/diversity_eval.py.
SELF_CIDER = [0.7910614358839622, 0.9011648132931396, 0.44010516324628857, 0.8598734495474216]


@pytest.mark.parametrize(
    ("score", "expected"), [(cider, CIDER), (cider_d, CIDER_D), (cider_r, CIDER_R)]
)
def test_kinds_of_cider(score: Callable[[Corpus], Floats], expected: list[float]) -> None:
    scores = score(Corpus(PREDICTIONS, REFERENCES))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


def test_self_cider() -> None:
    groups = [list(map(tokenize, (PREDICTIONS[name], *REFERENCES[name]))) for name in REFERENCES]
    # The bus has a caption twice.
    groups[2].append(groups[2][1])
    frequencies = DocumentFrequencies.from_references(REFERENCES.values())
    np.testing.assert_allclose(self_cider(groups, frequencies), SELF_CIDER, rtol=0, atol=1e-12)


TABLE = """\
person, man, woman, people, rider, baby, adult, passenger
dog, puppy
horse, pony
train, locomotive
motorcycle, scooter, motor bike
chair, seat, stool
toilet, urinal
wine glass
tie, bow, bow tie
traffic light, stop light
bus, minibus
"""
NAMED = {
    "a": ["Two men ride horses beside a stop light."],
    "b": ["A bathroom with a white toilet."],
    "c": ["The woman holds three wine glasses."],
    "d": ["A dog on a chair"],
    "e": ["Puppies and a locomotive."],
    "f": ["Two buses."],
}
CAPTIONS = {
    "a": "A rider on a pony waits at the traffic lights with her puppies.",
    "b": "The seat of a toilet and a man's stool",
    "c": "People wear bow ties near the wine glasses",
    "d": "An adult dog and a baby horse on two motor bikes",
    "e": "A passenger train passes the dogs' owner",
    "f": "Two minibuses wait behind buses",
}
PRESENT = {"c": frozenset({"tie"}), "d": frozenset({"motorcycle"})}


def test_chair(tmp_path: Path) -> None:
    """LisaAnne/Hallucination, utils/chair.py, with the singular forms of pattern 3.6."""
    path = tmp_path / "synonyms.txt"
    path.write_text(TABLE, encoding="utf-8")
    scene = SceneObjects(table=ObjectTable.load(path), present=PRESENT)
    counts = chair(Corpus(CAPTIONS, NAMED), scene)
    assert counts.tolist() == [[1, 4], [2, 3], [0, 3], [1, 3], [0, 2], [0, 2]]
    # CHAIRi and CHAIRs of the program.
    assert counts[:, 0].sum() / counts[:, 1].sum() == 0.23529411764705882
    assert (counts[:, 0] > 0).mean() == 0.5


@pytest.mark.parametrize(
    ("caption", "objects"),
    [
        # pattern 3.6 makes these "bu", "ty" and "cano", which the program then does not find.
        ("a bus", ["bus"]),
        ("neck ties", ["tie"]),
        ("canoes", ["boat"]),
        # With two spaces before them in the authors' table, and with a capital letter.
        ("a motor bike", ["motorcycle"]),
        ("an iPhone", ["cell phone"]),
        # The program joins two words at most, and counts a stove and an oven.
        ("a stove top oven", ["oven"]),
    ],
)
def test_what_the_authors_program_misses(caption: str, objects: list[str]) -> None:
    table = ObjectTable(
        [
            *("bus", "tie", "boat, canoe", "motorcycle,  motor bike", "cell phone, iPhone"),
            "oven, stove, stove top oven",
        ]
    )
    assert [name for _, name in table.mentions(tokenize(caption))] == objects


# SPICE itself needs CoreNLP's models. What aac-metrics 0.6.0 makes of these and CIDEr-D above:
SPICE = np.array([0.4, 0.15384615384615383, 0.888888888888889, 0.10526315789473685])
SPIDER = [1.9219461298365523, 0.6349131589298237, 1.9870829118079458, 1.121446148448528]


def test_spider(monkeypatch: pytest.MonkeyPatch) -> None:
    def spice(corpus: Corpus, limits: JavaLimits) -> tuple[float, Floats]:
        return float(SPICE.mean()), SPICE

    monkeypatch.setattr(official, "spice", spice)
    monkeypatch.setattr(official, "check_present", lambda name: None)
    report = score_captions(PREDICTIONS, REFERENCES, metrics=["spider"])
    np.testing.assert_allclose(report.per_image["SPIDEr"], SPIDER, rtol=0, atol=1e-12)
    assert report.corpus["SPIDEr"] == pytest.approx(1.4163470872557125, abs=1e-12)
