"""The loss: equal to the plain one, blind to padding, one encoder pass an image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from capgen.models.build import build_clip_gpt2
from capgen.training.data.packed_captions import CaptionCodec, pack_captions
from capgen.training.objectives.cross_entropy import CaptionObjective
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2, tiny_mini

CAPTIONS = [
    ["a dog runs over the red ball", "the dog jumps", "a ball"],
    ["a cat sits near the house", "two words"],
]


@pytest.fixture(scope="module")
def captioning():
    made = tiny_mini(text for row in CAPTIONS for text in row)
    made.model.eval()
    return made


def _packed(captioning, pad=0):
    codec = CaptionCodec.of(captioning, 64)
    return pack_captions([codec.encode(row) for row in CAPTIONS], pad=pad, unknown=codec.unknown)


def _pixels(size=64):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_the_loss_is_that_of_single_captions(captioning):
    codec = CaptionCodec.of(captioning, 64)
    pixels = _pixels()
    expected = 0.0
    for image, row in zip(pixels, CAPTIONS, strict=True):
        for ids in codec.encode(row):
            logits = captioning.model(
                pixel_values=image[None], decoder_input_ids=torch.from_numpy(ids[None, :-1])
            ).logits
            expected += F.cross_entropy(
                logits[0], torch.from_numpy(ids[1:]), reduction="sum", label_smoothing=0.1
            ).item()
    objective = CaptionObjective(captioning.model, cached=False, label_smoothing=0.1)
    packed = _packed(captioning)
    loss = objective.loss_sum(objective.encode(pixels), packed).item()
    assert loss == pytest.approx(expected, rel=1e-5)
    assert packed.tokens == sum(len(text.split()) + 1 for row in CAPTIONS for text in row)


def test_padding_has_no_loss_and_no_gradient(captioning):
    objective = CaptionObjective(captioning.model, cached=False)
    states = objective.encode(_pixels()).detach()
    embeddings = captioning.model.decoder.transformer.wte.weight
    losses = []
    for pad in (0, 9):
        losses.append(objective.loss_sum(states, _packed(captioning, pad)))
    assert losses[0].item() == losses[1].item()
    padded = _packed(captioning, pad=0)
    inputs = captioning.model.decoder.transformer.wte(padded.input_ids).detach().requires_grad_()
    hidden = captioning.model.decoder.transformer(
        inputs_embeds=inputs,
        position_ids=padded.position_ids,
        attention_mask=padded.attention_mask(torch.float32),
        encoder_hidden_states=states,
    ).last_hidden_state
    logits = F.linear(hidden.flatten(0, 1)[padded.picks], embeddings)
    F.cross_entropy(logits, padded.targets).backward()
    is_padding = padded.segments == torch.tensor([[len(row)] for row in CAPTIONS])
    assert is_padding.any()
    assert inputs.grad[is_padding].abs().max() == 0
    assert inputs.grad[~is_padding].abs().max() > 0
    captioning.model.zero_grad()


def test_the_encoder_sees_each_image_once(captioning):
    seen = []
    objective = CaptionObjective(captioning.model, cached=False)
    handle = objective.front.register_forward_hook(lambda _, args, out: seen.append(len(args[0])))
    keys = captioning.model.decoder.transformer.h[0].crossattention.c_attn
    other = keys.register_forward_hook(lambda _, args, out: seen.append(len(args[0])))
    objective.loss_sum(objective.encode(_pixels()), _packed(captioning))
    handle.remove()
    other.remove()
    assert seen == [2, 2]  # the backbone, and the cross-attention's keys and values


def test_cached_features_give_the_same_loss(captioning):
    whole = CaptionObjective(captioning.model, cached=False)
    cached = CaptionObjective(captioning.model, cached=True)
    pixels, packed = _pixels(), _packed(captioning)
    features = whole.front(pixels)
    assert features.shape == (2, 1280, 2, 2)
    expected = whole.loss_sum(whole.encode(pixels), packed).item()
    assert cached.loss_sum(cached.encode(features), packed).item() == expected


def test_bfloat16_is_close(captioning):
    objective = CaptionObjective(captioning.model, cached=False)
    pixels, packed = _pixels(), _packed(captioning)
    expected = objective.loss_sum(objective.encode(pixels), packed).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective.loss_sum(objective.encode(pixels), packed)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=0.02)


def test_the_projection_learns(tmp_path):
    texts = [text for row in CAPTIONS for text in row]
    clip, gpt2 = save_tiny_clip(tmp_path / "clip"), save_tiny_gpt2(tmp_path / "gpt2", texts)
    captioning = build_clip_gpt2(str(clip), str(gpt2))
    objective = CaptionObjective(captioning.model, cached=False)
    packed = _packed(captioning, pad=captioning.model.generation_config.pad_token_id)
    (objective.loss_sum(objective.encode(_pixels(32)), packed) / packed.tokens).backward()
    gradient = captioning.model.enc_to_dec_proj.weight.grad
    assert gradient.abs().max() > 0
    parameters = dict(captioning.model.encoder.named_parameters())
    (vision,) = (p for name, p in parameters.items() if name.endswith("layers.0.mlp.fc1.weight"))
    assert vision.grad.abs().max() > 0


def test_the_fused_activation_computes_the_same():
    made = tiny_mini(text for row in CAPTIONS for text in row)
    made.model.eval()
    act = made.model.decoder.transformer.h[0].mlp.act
    CaptionObjective(made.model, cached=False)
    fused = made.model.decoder.transformer.h[0].mlp.act
    states = torch.linspace(-6, 6, 101)
    assert isinstance(fused, torch.nn.GELU)
    assert not isinstance(act, torch.nn.GELU)
    assert torch.allclose(fused(states), act(states), atol=1e-6)
    assert made.model.decoder.config.activation_function == "gelu_new"
