"""A vocabulary of words that grows with new training captions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.modeling_outputs import BaseModelOutput

from capgen import Captioner
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.models.onnx.export import export_onnx
from capgen.models.resolve import resolve_model
from capgen.training.data.packed_captions import CaptionCodec
from capgen.training.model.extend_vocabulary import extend_vocabulary
from capgen.training.model.make_captioner import make_captioner
from capgen.training.run.train import train
from tests.conftest import ROOT
from tests.minis import write_flickr8k
from tests.tiny_models import tiny_mini
from tests.training_runs import SENTENCES, caption_images, eight_images, run_config

# The exporter takes its graph.
BACKBONE = "lite0"

NEW = ["The Giraffe, a zebra!", "a giraffe and two zebra", "one giraffe", "okapi"]


def weights(captioning):
    return {name: tensor.clone() for name, tensor in captioning.model.state_dict().items()}


def test_words_are_added_behind_the_old_ones_which_stay():
    captioning = tiny_mini(SENTENCES)
    old, before = captioning.tokenizer.get_vocab(), weights(captioning)
    grown = extend_vocabulary(captioning, NEW, min_count=2)
    assert grown.added_words == ("giraffe", "zebra")
    vocabulary = grown.tokenizer.get_vocab()
    assert {word: vocabulary[word] for word in old} == old
    assert vocabulary["giraffe"] == len(old)
    assert grown.tokenizer("a GIRAFFE, okapi")["input_ids"] == [
        old["a"], len(old), old["<unk>"],
    ]  # fmt: skip
    model = grown.model
    assert model.decoder.config.vocab_size == len(old) + 2
    assert model.config.decoder.vocab_size == len(old) + 2
    assert model.decoder.lm_head.weight is model.decoder.transformer.wte.weight
    after = weights(grown)
    for name, tensor in before.items():
        assert torch.equal(after[name][: len(tensor)], tensor), name
    assert set(model.generation_config.suppress_tokens) == {0, 1, 3}


def test_nothing_new_changes_nothing():
    captioning = tiny_mini(SENTENCES)
    assert extend_vocabulary(captioning, SENTENCES, min_count=1) is captioning
    assert extend_vocabulary(captioning, NEW, min_count=9) is captioning


def test_the_setting_decides_and_the_seed_makes_the_rows(tmp_path, data, mini):
    config = run_config(tmp_path, data, mini, min_count=2)
    rows = []
    for _ in range(2):
        torch.manual_seed(config.seed)
        made = make_captioner(config, NEW)
        rows.append(made.model.decoder.lm_head.weight)
    assert made.added_words == ("giraffe", "zebra")
    assert torch.equal(rows[0], rows[1])
    for other in ({"extend_vocabulary": False}, {"min_count": 4}):
        config = run_config(tmp_path, data, mini, **{"min_count": 2, **other})
        assert make_captioner(config, NEW).added_words == ()


@torch.inference_mode()
def test_captions_of_the_bundled_model_stay_before_training():
    names = ("cat", "coffee", "photographer", "raccoon", "rocket", "sheep")
    images = [ROOT / "capgen/images/bundled" / f"{name}.jpg" for name in names]
    captioning = load_captioning(resolve_model("mini"))
    captioning.model.eval()
    pixels = np.stack(
        [captioning.preprocessor.preprocess(Image.open(image).convert("RGB")) for image in images]
    )
    states = captioning.model.encoder(torch.from_numpy(pixels)).last_hidden_state

    def captions():
        ids = captioning.model.generate(encoder_outputs=BaseModelOutput(last_hidden_state=states))
        return captioning.tokenizer.batch_decode(ids, skip_special_tokens=True)

    before = captions()
    torch.manual_seed(0)
    new = " ".join(f"newword{number}" for number in range(360))
    grown = extend_vocabulary(captioning, [new], min_count=1)
    assert len(grown.added_words) == 360
    assert captions() == before


def test_new_words_are_learned_saved_and_exported(tmp_path, mini):
    sentences = [sentence.replace("dog", "okapi") for sentence in SENTENCES]
    images = [
        dataclasses.replace(mini_image, captions=(sentences[index % 8],) * 2)
        for index, mini_image in enumerate(eight_images())
    ]
    data = write_flickr8k(tmp_path / "okapis", images)
    config = run_config(
        tmp_path, data, mini, min_count=1, batch_size=8, num_epochs=60, eval_every=60,
        learning_rate=5e-3, decoder_learning_rate=5e-3, warmup_steps=5, ema_decay=0.5, test=False,
        train_encoder="none",
    )  # fmt: skip
    for _ in train(config):
        pass
    best = tmp_path / "run" / "last"
    captions = caption_images(str(best), data)
    assert captions[0] == "a red okapi runs over the grass"
    saved = load_captioning(ModelFolder(best, "last"))
    codec = CaptionCodec.of(saved, 64)
    assert codec.unknown not in codec.encode([sentences[0]])[0]
    pytest.importorskip("onnxscript")
    export_onnx(best, saved.model, image_size=(64, 64))
    image = data / "Flicker8k_Dataset" / "0.jpg"
    captioner = Captioner.from_pretrained(str(best), runtime="onnx")
    assert captioner.caption([image])[0].text == captions[0]
