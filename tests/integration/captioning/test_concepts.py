"""A concept head in both runtimes: the bonus in every search, and the concepts of records."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from capgen import Captioner
from capgen.errors import ModelError
from capgen.models.folder import CONCEPTS_FILE
from capgen.records import Caption
from tests.fakes import draw_image
from tests.tiny_concepts import CONCEPTS, concept_table, tiny_concepts
from tests.tiny_models import save_tiny_mini

WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"beams": 1},
    "greedy, penalty": {"beams": 1, "repetition_penalty": 1.3},
    "greedy, nouns again": {"beams": 1, "repeat_nouns": True},
    "3 beams": {"beams": 3, "num_captions": 3},
    "3 beams, nouns again": {"beams": 3, "num_captions": 3, "repeat_nouns": True},
    "5 beams, scaled": {"beams": 5, "num_captions": 5, "temperature": 0.7},
    "3 beams, long": {"beams": 3, "length_penalty": 0.0, "min_length": 10},
    "half as much": {"beams": 3, "concept_bonus": 0.5},
    "words": {"beams": 3, "include_words": "ball"},
    "words to avoid": {"beams": 3, "avoid_words": "dog"},
}
IMAGES = [draw_image(seed, (64, 64)) for seed in range(6)]


def every(caption: Caption) -> tuple[Caption, ...]:
    return (caption, *caption.alternatives)


@pytest.fixture(scope="module")
def folder(concepts_model: Path) -> Path:
    return concepts_model


@pytest.fixture(scope="module")
def both(folder: Path) -> tuple[Captioner, Captioner]:
    return captioners(folder)


def captioners(folder: Path, **options: Any) -> tuple[Captioner, Captioner]:
    onnx = Captioner.from_pretrained(folder, runtime="onnx", **options)
    return onnx, Captioner.from_pretrained(folder, runtime="torch", device="cpu", **options)


def captioned(captioner: Captioner, way: dict[str, Any]) -> list[Caption]:
    return captioner.caption(IMAGES, retry=False, **way)


def texts(captions: list[Caption]) -> list[str]:
    return [one.text for caption in captions for one in every(caption)]


def assert_the_same(first: list[Caption], second: list[Caption]) -> None:
    for one, other in zip(first, second, strict=True):
        assert [c.name for c in one.concepts] == [c.name for c in other.concepts]
        np.testing.assert_allclose(
            [c.probability for c in one.concepts],
            [c.probability for c in other.concepts],
            atol=2e-3,
        )
        for ours, theirs in zip(every(one), every(other), strict=True):
            assert ours.text == theirs.text
            np.testing.assert_allclose(
                [t.log_probability for t in ours.tokens],
                [t.log_probability for t in theirs.tokens],
                atol=2e-3,
            )
            assert ours.score == pytest.approx(theirs.score, abs=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_both_runtimes_favour_the_same_words(way: str, both: tuple[Captioner, Captioner]) -> None:
    onnx, torch_ = (captioned(model, WAYS[way]) for model in both)
    assert_the_same(onnx, torch_)
    alone = [both[0].caption(image, retry=False, **WAYS[way]) for image in IMAGES]
    assert_the_same(onnx, alone)
    off = captioned(both[0], {**WAYS[way], "concept_bonus": 0})
    assert texts(off) != texts(onnx)


@pytest.mark.parametrize("which", [0, 1], ids=["onnx", "torch"])
def test_avoiding_what_is_not_there_changes_nothing(
    which: int, both: tuple[Captioner, Captioner]
) -> None:
    """Captions that end early compete with those that the bonus is for."""
    plain = captioned(both[which], WAYS["3 beams"])
    avoided = captioned(both[which], {**WAYS["3 beams"], "avoid_words": "quokka"})
    assert texts(avoided) == texts(plain)


def test_captions_that_begin_with_given_words(folder: Path) -> None:
    """What they say counts as said."""
    onnx, torch_ = (
        captioned(model, {"beams": 3, "repeat_nouns": True})
        for model in captioners(folder, prompt="a dog and a cat")
    )
    assert_the_same(onnx, torch_)
    assert all(caption.text.startswith("a dog and a cat") for caption in onnx)


def without_table(folder: Path, target: Path) -> Path:
    """Copy a model as transformers would save it: the head is there, but nobody knows of it."""
    shutil.copytree(folder, target)
    (target / CONCEPTS_FILE).unlink()
    return target


@pytest.mark.parametrize("way", ["greedy", "3 beams", "words"])
@pytest.mark.parametrize("which", [0, 1], ids=["onnx", "torch"])
def test_turned_off_it_is_the_plain_model(
    way: str, which: int, both: tuple[Captioner, Captioner], folder: Path, tmp_path: Path
) -> None:
    plain = captioners(without_table(folder, tmp_path / "model"))[which]
    assert not plain.runtime.gives_concepts
    off = captioned(both[which], {**WAYS[way], "concept_bonus": 0})
    expected = captioned(plain, WAYS[way])
    for ours, theirs in zip(off, expected, strict=True):
        record = ours.to_dict()
        assert record.pop("concepts")
        assert "concept_bonus" not in record["settings"]
        other = {"model": "", "revision": ""}  # whose files lack the table
        assert {**record, **other} == {**theirs.to_dict(), **other}


def test_records_tell_the_bonus_and_the_concepts(both: tuple[Captioner, Captioner]) -> None:
    for caption in captioned(both[0], {}):
        assert caption.settings["concept_bonus"] == 1.0
        values = [concept.probability for concept in caption.concepts]
        assert values == sorted(values, reverse=True)
        assert all(0.1 < value <= 1 for value in values)
        assert {concept.name for concept in caption.concepts} <= set(CONCEPTS)
    names = {c.name for caption in captioned(both[0], {}) for c in caption.concepts}
    assert "teddy bear" in names  # which no token says


@pytest.mark.parametrize("which", [0, 1], ids=["onnx", "torch"])
def test_log_probabilities_are_those_of_the_plain_model(
    which: int, both: tuple[Captioner, Captioner]
) -> None:
    captioner = both[which]
    changed = 0
    for image, caption in zip(IMAGES, captioned(captioner, WAYS["3 beams"]), strict=True):
        for one in every(caption):
            ids = [token.id for token in one.tokens]
            changed += bool({*ids} & {t for own in table_of(captioner).tokens for t in own})
            replay = captioner.runtime.replay(captioner.runtime.prepare(image, ""), ids)
            plain = replay.log_probs[np.arange(len(ids)), ids]
            found = [token.log_probability for token in one.tokens]
            np.testing.assert_allclose(found, plain, atol=1e-4)
            assert one.score == pytest.approx(plain.sum() / len(ids), abs=1e-4)
    assert changed


def table_of(captioner: Captioner) -> Any:
    runtime: Any = captioner.runtime
    return runtime.concepts


@pytest.mark.parametrize("options", [{}, {"top_k": 3}], ids=str)
@pytest.mark.parametrize("which", [0, 1], ids=["onnx", "torch"])
def test_samples_say_what_is_seen_more_often(
    which: int, options: dict[str, Any], both: tuple[Captioner, Captioner]
) -> None:
    captioner = both[which]
    table = table_of(captioner)
    shared: dict[str, Any] = {"temperature": 1.2, "seed": 0, "num_captions": 40, "retry": False}
    shared |= {"repeat_nouns": True, **options}
    counts = []
    for factor in (0.0, 1.0):
        said = 0
        for image in IMAGES[:3]:
            found = every(captioner.caption(image, concept_bonus=factor, **shared))
            seen = {concept.name for concept in found[0].concepts if concept.probability > 0.5}
            named = zip(table.names, table.tokens, strict=True)
            wanted = {token for name, own in named if name in seen for token in own}
            assert wanted
            said += sum(bool(wanted & {token.id for token in one.tokens}) for one in found)
            if factor and not options:
                assert_plain_samples(captioner, image, found, 1.2)
            values = [token.log_probability for one in found for token in one.tokens]
            assert np.isfinite(values).all() and max(values) <= 1e-6
        counts.append(said)
    assert counts[1] > counts[0]


def assert_plain_samples(
    captioner: Captioner, image: Any, found: tuple[Caption, ...], temperature: float
) -> None:
    suppressed = captioner.model.generation["suppress_tokens"]  # type: ignore[attr-defined]
    for one in found[:5]:
        ids = [token.id for token in one.tokens]
        replay = captioner.runtime.replay(captioner.runtime.prepare(image, ""), ids)
        scores = torch.from_numpy(replay.log_probs)
        scores[:, suppressed] = -torch.inf
        plain = torch.log_softmax(scores / temperature, dim=-1)[range(len(ids)), ids]
        np.testing.assert_allclose([t.log_probability for t in one.tokens], plain, atol=1e-4)


def test_margins_keep_words_away(folder: Path, tmp_path: Path) -> None:
    made = tiny_concepts()
    count = len(CONCEPTS)
    free = replace(
        concept_table(made),
        strength=np.zeros(count, np.float32),
        margin=np.zeros(count, np.float32),
    )
    barred = replace(free, margin=np.full(count, 30, np.float32))
    said = []
    for number, table in enumerate((free, barred)):
        model = Path(shutil.copytree(folder, tmp_path / str(number)))
        table.write(model / CONCEPTS_FILE)
        onnx, torch_ = (captioned(each, WAYS["3 beams"]) for each in captioners(model))
        assert_the_same(onnx, torch_)
        words = {word for own in CONCEPTS.values() for word in own}
        said.append(sum(bool(words & {*text.split()}) for text in texts(onnx)))
    assert said[0] > 0 and said[1] == 0


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        record = json.loads(text)
        change(record)
        return json.dumps(record)

    return edit


BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "cut": (lambda text: text[: len(text) // 2], "not valid JSON"),
    "a list": (lambda _: "[]", "not a JSON object"),
    "not text": (lambda _: "\udcff", "not UTF-8"),
    "no tokens": (edited(lambda r: r.pop("tokens")), "lacks 'tokens'"),
    "a name too few": (edited(lambda r: r["names"].pop()), "has 7 names, and the concept head 8"),
    "a margin more": (edited(lambda r: r["margin"].append(0.0)), "has 9 margin"),
    "names no list": (edited(lambda r: r.update(names="dogs")), "names are not a list"),
    "an unknown token": (edited(lambda r: r["tokens"][0].append(4000)), "there is no token 4000"),
    "a token below zero": (edited(lambda r: r["tokens"][0].append(-1)), "there is no token -1"),
    "a token in words": (edited(lambda r: r["tokens"][0].append("dog")), "there is no token 'dog'"),
    "a name that is none": (edited(lambda r: r["names"].__setitem__(0, "a\nb")), "is not a word"),
    "not a number": (lambda text: text.replace("4.0", "NaN"), "is not a number"),
    "a huge number": (edited(lambda r: r.update(threshold=10**400)), "is not a number"),
    "text for a number": (edited(lambda r: r.update(threshold="high")), "is not a number"),
}


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
@pytest.mark.parametrize("damage", BAD)
def test_a_damaged_table_is_told(damage: str, runtime: str, folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "model"
    shutil.copytree(folder, broken)
    file = broken / CONCEPTS_FILE
    change, message = BAD[damage]
    file.write_bytes(change(file.read_text()).encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=message) as caught:
        Captioner.from_pretrained(broken, runtime=runtime, device="cpu")
    assert "concepts.json" in caught.value.message
    assert caught.value.hint


def test_graphs_without_the_head_are_told(folder: Path, tmp_path: Path) -> None:
    import onnx

    broken = tmp_path / "model"
    shutil.copytree(folder, broken)
    graph = onnx.load(broken / "onnx/encoder.onnx", load_external_data=False)
    kept = [output for output in graph.graph.output if output.name != "concept_logits"]
    del graph.graph.output[:]
    graph.graph.output.extend(kept)
    (broken / "onnx/encoder.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match="lacks the concept head"):
        Captioner.from_pretrained(broken, runtime="onnx")


def test_a_bonus_that_no_model_can_use_is_told(tmp_path: Path) -> None:
    save_tiny_mini(tmp_path / "model", ["a dog runs"])  # without a concept head
    captioner = Captioner.from_pretrained(tmp_path / "model")
    for factor, told in ((2.0, True), (1.0, False), (0.0, False)):
        caption = captioner.caption(IMAGES[0], concept_bonus=factor)
        assert any("concept_bonus has no effect" in note for note in caption.notes) is told
        assert "concept_bonus" not in caption.settings
        assert "concepts" not in caption.to_dict()


def test_heat_maps_and_features_are_those_of_the_plain_model(
    folder: Path, both: tuple[Captioner, Captioner], tmp_path: Path
) -> None:
    plain = captioners(without_table(folder, tmp_path / "model"))
    for ours, theirs in zip(both, plain, strict=True):
        image = ours.runtime.prepare(IMAGES[0], "")
        mine, expected = ours.runtime.features(image), theirs.runtime.features(image)
        assert mine.keys() == expected.keys()
        assert all((mine[name] == expected[name]).all() for name in mine)
        first, second = ours.runtime.replay(image, [5, 6]), theirs.runtime.replay(image, [5, 6])
        assert (first.attention == second.attention).all()
