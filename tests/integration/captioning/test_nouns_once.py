"""A noun is said once: the same in both runtimes, in models of others, in old runs' company."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from capgen import Captioner
from capgen._build import make_nouns, make_wordnet
from capgen.captioning.decoding.noun_table import NOUN_PENALTY
from capgen.cli.main import main
from capgen.config import train_config
from capgen.models.checkpoint import save_captioning
from capgen.models.folder import Provenance
from capgen.models.onnx.export import export_onnx
from capgen.records import Caption
from tests import tiny_captioners
from tests.fakes import draw_image
from tests.integration.metrics import oracles
from tests.tiny_models import tiny_mini

FEW = ["the cat and the dog", "the cat and the dog and the horse", "the dog"]
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"beams": 1},
    "greedy, penalty": {"beams": 1, "repetition_penalty": 1.3},
    "3 beams": {"beams": 3, "num_captions": 3},
    "5 beams, scaled": {"beams": 5, "num_captions": 5, "temperature": 0.7},
    "3 beams, long": {"beams": 3, "length_penalty": 0.0, "min_length": 10},
}


def every(caption: Caption) -> tuple[Caption, ...]:
    return (caption, *caption.alternatives)


def nouns_again(captioner: Captioner, caption: Caption) -> int:
    """How often the caption says a noun that it has said."""
    table: Any = captioner.runtime.nouns
    return int(table.repeated(np.array([token.id for token in caption.tokens])).sum())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Captioner, Captioner]:
    """A small model of few words with random weights, in both runtimes."""
    return both_of(tmp_path_factory.mktemp("few"), FEW)


@pytest.mark.parametrize("extra", [-2, 5])
def test_a_tokenizer_of_another_size_than_the_model(extra: int, tmp_path: Path) -> None:
    """Models have tokens that their tokenizer lacks, and the other way round."""
    made = tiny_mini(FEW, positions=16)
    made.model.generation_config.max_length = 12
    size = len(made.tokenizer) + extra
    made.model.decoder.resize_token_embeddings(size, mean_resizing=False)
    torch.manual_seed(1)
    torch.nn.init.normal_(made.model.decoder.transformer.wte.weight, std=0.3)
    made.model.config.decoder.vocab_size = size
    save_captioning(tmp_path, made, Provenance(preset="mini"))
    edges = made.preprocessor.input_size
    assert edges is not None
    export_onnx(tmp_path, made.model, image_size=edges)
    images = [draw_image(seed, (64, 64)) for seed in range(3)]
    for options in ({"beams": 1}, {"beams": 3}, {"beams": 3, "min_length": 5}):
        found = [
            Captioner.from_pretrained(tmp_path, runtime=runtime).caption(images, **options)
            for runtime in ("onnx", "torch")
        ]
        assert_the_same(*found)


def both_of(folder: Path, captions: list[str], *barred: str) -> tuple[Captioner, Captioner]:
    made = tiny_mini(captions, positions=16)
    made.model.generation_config.max_length = 16
    suppressed = {0, 1, 3, *made.tokenizer.convert_tokens_to_ids(list(barred))}
    made.model.generation_config.suppress_tokens = sorted(suppressed)
    save_captioning(folder, made, Provenance(preset="mini"))
    size = made.preprocessor.input_size
    assert size is not None
    export_onnx(folder, made.model, image_size=size)
    onnx = Captioner.from_pretrained(folder, runtime="onnx")
    return onnx, Captioner.from_pretrained(folder, runtime="torch", device="cpu")


def assert_the_same(first: list[Caption], second: list[Caption]) -> None:
    for one, other in zip(first, second, strict=True):
        for ours, theirs in zip(every(one), every(other), strict=True):
            assert ours.text == theirs.text
            assert [t.id for t in ours.tokens] == [t.id for t in theirs.tokens]
            np.testing.assert_allclose(
                [t.log_probability for t in ours.tokens],
                [t.log_probability for t in theirs.tokens],
                atol=2e-3,
            )
            assert ours.score == pytest.approx(theirs.score, abs=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_both_runtimes_say_a_noun_once(way: str, both: tuple[Captioner, Captioner]) -> None:
    images = [draw_image(seed, (64, 64)) for seed in range(6)]
    onnx, torch_ = (model.caption(images, retry=False, **WAYS[way]) for model in both)
    assert_the_same(onnx, torch_)
    assert all(nouns_again(both[0], one) == 0 for caption in onnx for one in every(caption))
    alone = [both[0].caption(image, retry=False, **WAYS[way]) for image in images]
    assert_the_same(onnx, alone)
    if "long" not in way:  # the model would repeat itself
        free = both[0].caption(images, retry=False, repeat_nouns=True, **WAYS[way])
        assert any(nouns_again(both[0], one) for caption in free for one in every(caption))


@pytest.mark.parametrize("way", WAYS)
def test_both_runtimes_repeat_where_nothing_else_is_left(way: str, tmp_path: Path) -> None:
    """With the model's own probabilities: what a repetition costs is not among them."""
    both = both_of(tmp_path, FEW, "the", "and")
    images = [draw_image(seed, (64, 64)) for seed in range(3)]
    options = {**WAYS[way], "min_length": 10, "retry": False}
    onnx, torch_ = (model.caption(images, **options) for model in both)
    assert_the_same(onnx, torch_)
    for caption in onnx:
        for one in every(caption):
            assert len(one.tokens) >= 9
            assert nouns_again(both[0], one) >= 5
            assert all(-NOUN_PENALTY / 2 < token.log_probability <= 0 for token in one.tokens)
            total = sum(token.log_probability for token in one.tokens)
            penalty = WAYS[way].get("length_penalty", 1.0)
            assert one.score == pytest.approx(total / len(one.tokens) ** penalty)


@pytest.mark.parametrize("which", [0, 1], ids=["onnx", "torch"])
def test_samples_say_a_noun_once(which: int, both: tuple[Captioner, Captioner]) -> None:
    model, image = both[which], draw_image(1, (64, 64))
    options: dict[str, Any] = {"temperature": 1.5, "seed": 0, "num_captions": 8, "retry": False}
    found = every(model.caption(image, **options))
    assert all(nouns_again(model, one) == 0 for one in found)
    assert all(token.log_probability <= 0 for one in found for token in one.tokens)
    assert any(
        nouns_again(model, o) for o in every(model.caption(image, **options, repeat_nouns=True))
    )


KINDS: dict[str, Callable[[Path], Path]] = {
    "BLIP": tiny_captioners.blip,
    "GIT": tiny_captioners.git,
}


@pytest.mark.parametrize("options", [{"beams": 1}, {"beams": 3, "num_captions": 3}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_models_of_others_too(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    captioner = Captioner.from_pretrained(KINDS[kind](tmp_path / "model"))
    images = [draw_image(seed, (50, 40)) for seed in range(8)]
    options = {**options, "max_length": 14, "retry": False}
    once = [one for caption in captioner.caption(images, **options) for one in every(caption)]
    assert all(nouns_again(captioner, one) == 0 for one in once)
    assert all(token.log_probability <= 1e-6 for one in once for token in one.tokens)
    free = captioner.caption(images, repeat_nouns=True, **options)
    assert any(nouns_again(captioner, one) for caption in free for one in every(caption))
    assert not any(caption.settings["repeat_nouns"] for caption in once if caption.settings)


def test_pieces_of_words(tmp_path: Path) -> None:
    """A vocabulary as GPT-2's, with merges: the piece that begins a noun is said once."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ("Ġa", "Ġthe", "Ġcat", "Ġgir", "affe", "Ġred", "s", "Ġon", "Ġ", "<|endoftext|>")
    tokenizer = Tokenizer(models.BPE({p: n for n, p in enumerate(pieces)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    last = len(pieces) - 1
    decoder = tiny_captioners.gpt2(vocab_size=len(pieces), bos_token_id=last, eos_token_id=last)
    made = tiny_captioners.captioning(tiny_captioners.vit(), decoder)
    special = {"bos_token": end, "eos_token": end, "unk_token": end}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    made = replace(made, tokenizer=wrapped)
    generation = made.model.generation_config
    for name in ("decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(generation, name, last)
    folder = tiny_captioners.save_plainly(tmp_path / "model", made)
    captioner = Captioner.from_pretrained(folder)
    images = [draw_image(seed, (50, 40)) for seed in range(8)]
    for options in ({"beams": 1}, {"beams": 4, "num_captions": 4}):
        for caption in captioner.caption(images, max_length=14, retry=False, **options):
            for one in every(caption):
                said = [pieces[token.id] for token in one.tokens]
                assert said.count("Ġcat") <= 1 and said.count("Ġgir") <= 1
    free = captioner.caption(images, max_length=14, retry=False, beams=1, repeat_nouns=True)
    assert any(nouns_again(captioner, one) for one in free)


def test_other_languages_are_left_alone(tmp_path: Path) -> None:
    german = ["ein hund und eine katze auf der wiese", "der mann hat einen hut und eine hand"]
    for captioner in both_of(tmp_path, german):
        assert captioner.runtime.nouns is None
        caption = captioner.caption(draw_image(0, (64, 64)))
        assert caption.settings["repeat_nouns"] is True
        same = captioner.caption(draw_image(0, (64, 64)), repeat_nouns=True)
        assert same == caption


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_no_cat_sits_on_top_of_a_cat(runtime: str, capsys: pytest.CaptureFixture[str]) -> None:
    cat = str(Path(__file__).parents[3] / "capgen/images/bundled/cat.jpg")
    for options in ([], ["--no-repeat-nouns"]):
        assert main(["caption", cat, "--runtime", runtime, *options]) == 0
        assert capsys.readouterr().out.split().count("cat") == 1


def test_records_made_before_are_made_again(tmp_path: Path, images: list[Path]) -> None:
    """A run that goes on with an old output does not mix captions of two ways of decoding."""
    output = tmp_path / "out.jsonl"
    command = ["caption", *map(str, images[:3]), "-o", str(output), "--no-retry"]
    assert main(command) == 0
    records = [json.loads(line) for line in output.read_text().splitlines()]
    for record in records:
        assert record["settings"].pop("repeat_nouns") is False
        record["caption"] = "made before"
    output.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert main([*command, "--resume"]) == 0
    again = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(again) == 3
    assert all(record["caption"] != "made before" for record in again)
    assert main([*command, "--repeat-nouns"]) == 0
    third = [json.loads(line) for line in output.read_text().splitlines()]
    assert all(record["settings"]["repeat_nouns"] for record in third)


@pytest.mark.skipif(not oracles.HAVE_WORDNET, reason="needs WordNet 3.0 (Debian's wordnet-base)")
def test_the_list_is_that_of_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = (make_wordnet.TARGET / make_nouns.NOUNS_FILE).read_bytes()
    monkeypatch.setattr(make_nouns, "TARGET", tmp_path)
    make_nouns.main([str(oracles.WORDNET)])
    assert (tmp_path / make_nouns.NOUNS_FILE).read_bytes() == shipped


def test_torch_takes_scores_that_are_wider_than_the_vocabulary() -> None:
    from capgen.captioning.decoding.noun_table import NounTable
    from capgen.captioning.runtimes.torch_processors import NounsOnce

    table = NounTable(np.array([0, 1, 2, 1]))
    scores = torch.zeros(2, 6)
    changed = NounsOnce(table)(torch.tensor([[0, 3], [0, 2]]), scores)
    assert changed.tolist() == [
        [0, -NOUN_PENALTY, 0, -NOUN_PENALTY, 0, 0],
        [0, 0, -NOUN_PENALTY, 0, 0, 0],
    ]
    assert not scores.any()
    narrow = NounsOnce(table)(torch.tensor([[0, 2]]), torch.zeros(1, 3))
    assert narrow.tolist() == [[0, 0, -NOUN_PENALTY]]


def test_training_validates_with_captions_as_capgen_says_them(tmp_path: Path) -> None:
    from capgen.training.objectives.learner import Learner
    from capgen.training.validation.validate import Validator

    made = tiny_mini(FEW, positions=16)
    made.model.eval().generation_config.max_length = 16
    images = [draw_image(seed, (64, 64)) for seed in range(6)]
    config = train_config("mini", device="cpu", eval=True)
    validator = Validator(Learner.of(made, config, torch.device("cpu")), {}, config)
    pixels = torch.from_numpy(np.stack([made.preprocessor.preprocess(one) for one in images]))
    with torch.no_grad():
        states = made.model.encoder(pixel_values=pixels).last_hidden_state
        found = validator._captions(states, None)
    save_captioning(tmp_path, made, Provenance(preset="mini"))
    captioner = Captioner.from_pretrained(tmp_path, runtime="torch", device="cpu")
    assert found == [one.text for one in captioner.caption(images, retry=False)]
    free = captioner.caption(images, retry=False, repeat_nouns=True)
    assert found != [one.text for one in free]
