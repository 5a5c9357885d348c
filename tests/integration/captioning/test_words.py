"""Words to avoid and to include in both runtimes, and in models of others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from capgen import Captioner
from capgen.captioning.runtimes.torch_words import word_processors, word_rules
from capgen.cli.main import main
from capgen.config import DecodeOptions, DecodeSettings
from capgen.errors import UsageError
from capgen.evaluation.calibration.calibrate import calibrate
from capgen.models.onnx.export import export_onnx
from capgen.records import Caption
from tests import tiny_captioners
from tests.fakes import draw_image

ASKED: dict[str, dict[str, Any]] = {
    "avoid": {"avoid_words": "a,cat,man,dog"},
    "include": {"include_words": "dog,grass|snow"},
    "a phrase": {"include_words": "Red Ball"},
    "both": {"avoid_words": "the,red,black", "include_words": "ball,man|dog|cat,runs"},
}
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"beams": 1},
    "beams": {"beams": 3, "num_captions": 3},
    "scaled": {"beams": 3, "temperature": 1.4, "repetition_penalty": 1.2},
    "at least 8": {"beams": 2, "min_length": 8, "no_repeat_ngram_size": 2},
}


def said(caption: Caption) -> list[str]:
    return [caption.text, *(other.text for other in caption.alternatives)]


def has(text: str, phrase: str) -> bool:
    words = r"\s+".join(map(re.escape, phrase.split()))
    return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None


def assert_as_asked(caption: Caption, avoid_words: str = "", include_words: str = "") -> None:
    for text in said(caption):
        assert not [word for word in avoid_words.split(",") if word and has(text, word)]
        for any_of in filter(None, include_words.split(",")):
            assert any(has(text, word) for word in any_of.split("|")), (text, any_of)
    assert not [note for note in caption.notes if "could not" in note]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("way", WAYS)
def test_both_runtimes_say_the_same(
    way: str, asked: str, bundled: Captioner, bundled_torch: Captioner, images: list[Path]
) -> None:
    options = {**WAYS[way], **ASKED[asked]}
    ours = bundled.caption(images[:2], **options)
    theirs = bundled_torch.caption(images[:2], **options)
    assert [said(one) for one in ours] == [said(one) for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert_as_asked(one, **ASKED[asked])


@pytest.mark.parametrize("which", ["bundled", "bundled_torch"])
@pytest.mark.parametrize("asked", ASKED)
def test_samples_and_diverse_captions_too(
    which: str, asked: str, images: list[Path], request: pytest.FixtureRequest
) -> None:
    captioner = request.getfixturevalue(which)
    for way in ({"temperature": 1.2, "seed": 2, "num_captions": 3}, {"diverse": 2}):
        for caption in captioner.caption(images[:2], **way, **ASKED[asked]):
            assert_as_asked(caption, **ASKED[asked])


@pytest.mark.parametrize("which", ["bundled", "bundled_torch"])
def test_a_batch_says_what_single_calls_do(
    which: str, images: list[Path], request: pytest.FixtureRequest
) -> None:
    captioner, options = request.getfixturevalue(which), ASKED["both"]
    together = captioner.caption(images[:4], **options)
    alone = [captioner.caption(image, **options) for image in images[:4]]
    assert [caption.text for caption in together] == [caption.text for caption in alone]


KINDS = ["blip", "git", "bytes", "bytes in ONNX"]


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Captioner]:
    folder = tmp_path_factory.mktemp("others")
    plain = tiny_captioners.save_plainly(
        folder / "bytes", tiny_captioners.captioning(tiny_captioners.vit())
    )
    made = tiny_captioners.captioning(tiny_captioners.vit())
    exported = tiny_captioners.save_plainly(folder / "exported", made)
    export_onnx(exported, made.model, image_size=(32, 32))
    return {
        "blip": Captioner.from_pretrained(tiny_captioners.blip(folder / "blip")),
        "git": Captioner.from_pretrained(tiny_captioners.git(folder / "git")),
        "bytes": Captioner.from_pretrained(plain, runtime="torch"),
        "bytes in ONNX": Captioner.from_pretrained(exported, runtime="onnx"),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "way",
    [
        {"beams": 1},
        {"beams": 3, "num_captions": 2},
        {"temperature": 1.0, "seed": 0, "num_captions": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "asked",
    [
        {"avoid_words": "a,dog,man,the,red"},
        {"include_words": "cat,ball|man"},
        {"include_words": "é a", "avoid_words": "cat,dog"},
        {"include_words": "dog,cat", "avoid_words": "dog cat"},
    ],
    ids=str,
)
def test_models_of_others(
    kind: str, way: dict[str, Any], asked: dict[str, str], others: dict[str, Captioner]
) -> None:
    for seed in range(2):
        caption = others[kind].caption(draw_image(seed), max_length=14, **way, **asked)
        assert_as_asked(caption, **asked)
        assert np.isfinite(caption.score)


@pytest.mark.parametrize("kind", ["blip", "git"])
@pytest.mark.parametrize("beams", [1, 3])
def test_where_another_setting_bars_a_word_there_is_still_a_caption(
    kind: str, beams: int, others: dict[str, Captioner]
) -> None:
    caption = others[kind].caption(
        [draw_image(0), draw_image(1)],
        beams=beams,
        no_repeat_ngram_size=1,
        include_words="cat cat",
        avoid_words="a,dog",
        max_length=12,
        retry=False,
    )
    for each in caption:
        assert each.notes == ("could not include 'cat cat'",)
        assert not has(each.text, "a")
        assert not has(each.text, "dog")
        assert np.isfinite(each.score)


def test_a_word_is_found_in_any_spelling(others: dict[str, Captioner]) -> None:
    """Byte by byte, in upper or lower case; and other words that have it in them are allowed."""
    allowed = set()
    for seed in range(12):
        image = draw_image(seed)
        for caption in others["bytes"].caption(
            [image], temperature=2.0, seed=seed, num_captions=20, avoid_words="a,é,0", max_length=20
        ):
            for text in said(caption):
                assert not re.search(r"(?<![^\W])[aA0éÉ](?!\w)", text)
                allowed |= set(re.findall(r"\w[aA0]|[aA0]\w", text))
    assert allowed


def test_what_cannot_be_said_is_noted(bundled: Captioner, images: list[Path]) -> None:
    caption = bundled.caption(images[0], include_words="quokka|wombat,dog", avoid_words="cat")
    assert caption.notes == ("could not include 'quokka' or 'wombat'",)
    assert has(caption.text, "dog")
    short = bundled.caption(images[0], include_words="dog,red ball,snow", max_length=4)
    assert "dog" in short.text.split()
    assert short.notes[-1] == "could not include 'snow'"


def test_records_without_words_are_as_before(bundled: Captioner, images: list[Path]) -> None:
    plain = bundled.caption(images[0])
    new = {"avoid_words", "include_words", "prefix", "suffix", "replace", "trim_openings"}
    assert not new & set(plain.settings)
    assert "raw_caption" not in plain.to_dict()
    asked = bundled.caption(images[0], avoid_words=" cat , dog,,cat", include_words="a| b")
    assert asked.settings["avoid_words"] == "cat,dog"
    assert asked.settings["include_words"] == "a|b"
    assert Caption.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked
    assert set(asked.settings) - set(plain.settings) == {"avoid_words", "include_words"}


def test_captions_with_words_are_not_calibrated(bundled: Captioner, images: list[Path]) -> None:
    assert bundled.caption(images[0], confidence=True).confidence is not None
    for asked in ({"avoid_words": "cat"}, {"include_words": "dog"}):
        caption = bundled.caption(images[0], confidence=True, **asked)
        assert caption.confidence is None
        assert any("not calibrated" in note for note in caption.notes)
    edited = bundled.caption(images[0], confidence=True, prefix="photo: ")
    assert edited.confidence == bundled.caption(images[0], confidence=True).confidence
    with pytest.raises(UsageError, match="words that were asked for"):
        list(calibrate(bundled, [], options=DecodeOptions(avoid_words="cat")))


def test_the_command_line(images: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = str(images[0])
    assert main(["caption", path, "--include-words", "dog,quokka", "--avoid-words", "a"]) == 0
    out, err = capsys.readouterr()
    assert has(out, "dog")
    assert not has(out, "a")
    assert "could not include 'quokka'" in err
    assert main(["caption", path, "--include-words", "dog", "--avoid-words", "Dog"]) == 2
    assert "--avoid-words and in --include-words" in capsys.readouterr().err


def test_an_interrupted_run_is_resumed_with_the_same_words_only(
    images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "captions.jsonl"
    names = [str(image) for image in images[:3]]
    asked = ["--include-words", "dog", "--prefix", "x "]
    assert main(["caption", *names, "-o", str(output), *asked]) == 0
    assert main(["caption", *names, "-o", str(output), *asked]) == 0
    assert "3 of them from an earlier run" in capsys.readouterr().err.replace("\n", " ")
    assert main(["caption", *names, "-o", str(output), "--include-words", "dog"]) == 0
    assert "earlier run" not in capsys.readouterr().err
    records = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert not any(record["caption"].startswith("x ") for record in records)


class TestProcessors:
    """What other runtimes give to `generate`."""

    @pytest.fixture
    def model(self) -> Any:
        return tiny_captioners.gpt2(seed=3, n_positions=80, add_cross_attention=False)

    def texts(self, model: Any, tokenizer: Any, asked: dict[str, str], **how: Any) -> list[str]:
        prompts = ["a dog", "what a cat"]
        width = max(map(len, prompts))
        rows = [[256] * (width - len(p)) + list(tokenizer(p).input_ids) for p in prompts]
        mask = [[0] * (width - len(p)) + [1] * len(p) for p in prompts]
        settings = DecodeSettings(max_length=1 + 24, **asked)
        torch.manual_seed(0)
        output = model.generate(
            input_ids=torch.tensor(rows),
            attention_mask=torch.tensor(mask),
            max_new_tokens=24,
            pad_token_id=256,
            eos_token_id=256,
            logits_processor=word_processors(
                word_rules(tokenizer, (256,)), settings, counted=False
            ),
            **how,
        )
        return tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)

    @pytest.mark.parametrize(
        "how",
        [
            {"do_sample": False},
            {"do_sample": True, "num_return_sequences": 4},
            {"num_beams": 3, "do_sample": False},
        ],
        ids=str,
    )
    def test_what_a_prompt_says_does_not_count(self, model: Any, how: dict[str, Any]) -> None:
        tokenizer = tiny_captioners.byte_tokenizer()
        asked = {"include_words": "cat,dog|ball", "avoid_words": "a"}
        for text in self.texts(model, tokenizer, asked, **how):
            assert has(text, "cat")
            assert has(text, "dog") or has(text, "ball")
            assert not has(text, "a")

    def test_without_words_there_are_no_processors(self) -> None:
        rules = word_rules(tiny_captioners.byte_tokenizer(), (256,))
        assert not word_processors(rules, DecodeSettings(), counted=False)
