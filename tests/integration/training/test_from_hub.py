"""A whole clip-gpt2 run whose parts come from a Hub, by an unmodified huggingface_hub."""

from __future__ import annotations

import os
import subprocess
import sys

import torch
from transformers import CLIPVisionModel, GPT2LMHeadModel

from capgen.cli.main import main
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.training.data.packed_captions import CaptionCodec, pack_captions
from capgen.training.model.make_captioner import make_captioner
from capgen.training.objectives.cross_entropy import CaptionObjective
from tests.conftest import ROOT
from tests.hub_stand_in import serving
from tests.training_runs import SENTENCES, clip_config


def test_a_run_starts_from_the_weights_that_the_hub_serves(tmp_path, data, parts):
    """What is frozen or has a learning rate of 0 ends as it was served; the rest does not."""
    with serving() as hub:
        hub.repositories = {
            "some/clip": {"main": tmp_path / "clip"},
            "some/gpt2": {"main": tmp_path / "gpt2"},
        }
        arguments = ["--encoder", "some/clip", "--decoder", "some/gpt2", "--data-dir", str(data)]
        arguments += ["--train-encoder", "none", "--decoder-learning-rate", "0"]
        arguments += ["--num-epochs", "2", "--batch-size", "4", "--output-dir", "run"]
        done = subprocess.run(
            [sys.executable, "-m", "capgen", "train", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "HF_ENDPOINT": hub.url,
                "HF_HOME": str(tmp_path / "hub"),
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    after = load_captioning(ModelFolder(tmp_path / "run" / "last", "last")).model
    clip = CLIPVisionModel.from_pretrained(tmp_path / "clip").state_dict()
    for name, tensor in after.encoder.state_dict().items():
        assert torch.equal(tensor, clip[name]), name
    gpt2 = GPT2LMHeadModel.from_pretrained(tmp_path / "gpt2").state_dict()
    for name, tensor in gpt2.items():
        # An average over steps of equal weights rounds in its last place.
        torch.testing.assert_close(after.decoder.state_dict()[name], tensor, atol=1e-6, rtol=1e-6)
    config = clip_config(tmp_path, data)
    torch.manual_seed(config.seed)
    new = make_captioner(config, []).model.state_dict()
    changed = {name for name in new if not torch.allclose(new[name], after.state_dict()[name])}
    assert "enc_to_dec_proj.weight" in changed
    assert any("crossattention" in name for name in changed)
    assert any("/resolve/" in path and path.endswith("model.safetensors") for path in hub.asked)


def test_padding_has_no_loss_and_the_projection_a_gradient(tmp_path, data, parts):
    captioning = make_captioner(clip_config(tmp_path, data), [])
    model = captioning.model.eval()
    objective = CaptionObjective(model, cached=False)
    codec = CaptionCodec.of(captioning, 32)
    rows = [codec.encode(SENTENCES[:1]), codec.encode(SENTENCES[:5])]
    pixels = torch.randn(2, 3, 32, 32)
    losses = []
    for pad in (0, 7):
        packed = pack_captions(rows, pad=pad, unknown=None)
        assert packed.tokens == sum(len(ids) - 1 for row in rows for ids in row)
        assert packed.input_ids.numel() > packed.tokens + 50  # the first row is mostly padding
        losses.append(objective.loss_sum(objective.encode(pixels), packed))
    assert torch.equal(losses[0], losses[1])
    torch.autograd.backward(losses[0])
    assert model.enc_to_dec_proj.weight.grad.abs().max() > 0
    assert model.encoder.get_input_embeddings().weight.grad.abs().max() > 0


def test_an_unreachable_hub_says_what_to_do(data, capsys):
    assert main(["train", "--encoder", "some/clip", "--data-dir", str(data)]) == 1
    error = capsys.readouterr().err
    assert "Cannot reach" in error
    assert "use a model folder" in error


def test_a_wrong_preset_and_an_unknown_data_set(tmp_path, data, capsys):
    assert main(["train", "--preset", "clip-gpt", "--data-dir", str(data)]) == 2
    assert "clip-gpt2" in capsys.readouterr().err
    assert main(["train", "--dataset", "flikr8k"]) == 1
    assert "flikr8k" in capsys.readouterr().err


def test_no_captions(tmp_path, data, capsys):
    (data / "Flickr8k_text" / "Flickr8k.token.txt").write_text("", encoding="utf-8")
    assert main(["train", "--data-dir", str(data), "--output-dir", str(tmp_path / "run")]) == 1
    assert "caption" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
