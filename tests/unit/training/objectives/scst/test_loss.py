"""The self-critical loss, its gradient and its parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from capgen.captioning.decoding.noun_lexicon import noun_table
from capgen.config import train_config
from capgen.training.data.inputs import FeatureInputs
from capgen.training.data.packed_captions import CaptionCodec, pack_captions
from capgen.training.objectives.base import Share
from capgen.training.objectives.cross_entropy import CaptionObjective
from capgen.training.objectives.learner import Learner
from capgen.training.objectives.scst.loss import advantages, evaluating, pack_samples, self_critical
from capgen.training.objectives.scst.sampler import Samples
from capgen.training.optimization.trainer import Trainer
from tests.tiny_models import tiny_mini
from tests.training_runs import NO_NOISE, SENTENCES

CPU = torch.device("cpu")
REFERENCES = [[sentence, sentence.replace("the ", "a ")] for sentence in SENTENCES]


@pytest.fixture(scope="module")
def parts(request):
    """A captioner whose samples are read back, its loss, and a batch of three images."""
    captioning = tiny_mini(SENTENCES)
    captioning.model.generation_config.max_length = 9
    config = train_config(
        "mini",
        **getattr(request, "param", {}),
        objective="scst",
        init="mini",
        samples_per_image=4,
        cross_entropy_share=0.25,
    )
    objective = CaptionObjective(captioning.model, cached=False, label_smoothing=0.1)
    codec = CaptionCodec.of(captioning, 64)
    rows = [codec.encode(captions) for captions in REFERENCES]
    learner = Learner(captioning, objective, codec, CPU)
    loss = self_critical(learner, REFERENCES, rows, config)
    captions = pack_captions(rows[:3], pad=0, unknown=codec.unknown)
    share = Share(
        images=torch.arange(3),
        inputs=torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)),
        captions=captions,
        tokens=captions.tokens,
        step_images=3,
        step=0,
    )
    return captioning, loss, share


def test_the_baseline_is_the_mean_of_the_others():
    found = advantages(torch.tensor([[1.0, 2.0, 6.0], [3.0, 3.0, 3.0]]))
    assert found.tolist() == [[-3.0, -1.5, 4.5], [0.0, 0.0, 0.0]]


def test_packing_keeps_lengths_and_ends():
    ids = torch.tensor([[[5, 6, 2, 2], [7, 2, 2, 2]], [[8, 9, 5, 6], [2, 2, 2, 2]]])
    lengths = torch.tensor([[3, 2], [4, 1]])
    packed = pack_samples(Samples(ids, lengths, lengths < 4), start=1)
    assert packed.targets.tolist() == [5, 6, 2, 7, 2, 8, 9, 5, 6, 2]
    assert packed.input_ids[0, :5].tolist() == [1, 5, 6, 1, 7]
    assert packed.position_ids[1, :5].tolist() == [0, 1, 2, 3, 0]


@pytest.mark.parametrize(
    "parts",
    [{}, {"noun_reward": 2.0}, {"nouns_once": True}, {"noun_reward": 1.0, "nouns_once": True}],
    ids=["plain", "noun reward", "nouns once", "both"],
    indirect=True,
)
def test_the_loss_is_that_of_single_samples(parts):
    """Written out: a forward pass a sample and a reference, no packing."""
    captioning, loss, share = parts
    captioning.model.eval()
    with torch.no_grad():
        found = loss(share)
        states, samples = loss._states_and_samples(share)
        words = loss.reader.read(samples.ids, samples.ended)
        rewards = loss.reward(share.images, words)
        if loss.recall is not None:
            recalls = loss.recall(share.images, words)
            assert recalls.std(1).max() > 0
            rewards = rewards + loss.noun_reward * recalls
        barred = noun_table(captioning.tokenizer.get_vocab()).of_width(
            captioning.model.decoder.config.vocab_size
        )
        repeated = 0
        policy = 0.0
        for image in range(3):
            for sample in range(4):
                length = int(samples.lengths[image, sample])
                ids = [1, *samples.ids[image, sample, :length].tolist()]
                logits = captioning.model(
                    pixel_values=share.inputs[image : image + 1],
                    decoder_input_ids=torch.tensor([ids[:-1]]),
                ).logits[0]
                logits[:, [0, 1, 3]] = float("-inf")  # padding, start and unknown
                for place in range(length if loss.sampler.once else 0):
                    said = barred.penalties(np.array(ids[: place + 1])) > 0
                    logits[place, said] = float("-inf")
                    repeated += bool(said.any())
                chosen = torch.log_softmax(logits, -1)[range(length), ids[1:]].sum()
                others = (rewards[image].sum() - rewards[image, sample]) / 3
                policy -= float((rewards[image, sample] - others) * chosen)
        entropy = loss.objective.loss_sum(states, share.captions) / share.tokens
    assert (repeated > 0) == (loss.sampler.once is not None)
    mean_tokens = sum(len(row.split()) + 1 for pair in REFERENCES for row in pair) / 16
    assert loss.mean_tokens == pytest.approx(mean_tokens)
    expected = policy / (12 * mean_tokens) + 0.25 * float(entropy)
    assert abs(policy) > 0.01
    assert float(found.loss) == pytest.approx(expected, abs=1e-5)
    named = dict(zip(loss.names, found.numbers.tolist(), strict=True))
    assert ("noun_recall" in named) == (loss.recall is not None)
    if loss.recall is not None:
        assert named["noun_recall"] == pytest.approx(float(recalls.mean()))
    assert named["reward"] == pytest.approx(float(rewards.mean()), abs=1e-6)
    assert named["sample_length"] == pytest.approx(float(samples.lengths.float().mean()))
    assert named["cross_entropy"] == pytest.approx(float(entropy))


def test_shares_add_up_whatever_the_cut(parts):
    captioning, loss, share = parts
    captioning.model.eval()
    rows = loss_rows(captioning)

    def part(numbers, idle=False):
        packed = pack_captions([rows[n] for n in numbers], pad=0, unknown=3)
        return loss(
            Share(
                images=torch.tensor(numbers),
                inputs=share.inputs[numbers],
                captions=packed.without_targets() if idle else packed,
                tokens=share.tokens,
                step_images=3,
                step=0,
                idle=idle,
            )
        )

    whole, cut = part([0, 1, 2]), [part([2]), part([0, 1]), part([1], idle=True)]
    assert sum(p.loss.item() for p in cut) == pytest.approx(whole.loss.item(), abs=1e-5)
    torch.testing.assert_close(sum(p.numbers for p in cut), whole.numbers)
    assert cut[2].loss.item() == 0.0
    cut[2].loss.backward()
    assert all(p.grad is not None for p in captioning.model.parameters())
    captioning.model.zero_grad()


def loss_rows(captioning):
    codec = CaptionCodec.of(captioning, 64)
    return [codec.encode(captions) for captions in REFERENCES]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_weight_has_a_gradient(parts, precision):
    """Sampling under autocast must not leave weights behind that have no gradient."""
    captioning, loss, share = parts
    captioning.model.train()
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        found = loss(share)
    found.loss.backward()
    without = [n for n, p in captioning.model.named_parameters() if p.grad is None]
    assert without == []
    grown = [p.grad.abs().max() for p in captioning.model.decoder.parameters()]
    assert min(grown) > 0
    captioning.model.zero_grad()


def test_dropout_comes_back_whatever_happens(parts):
    captioning, _, _ = parts
    captioning.model.train()
    captioning.model.encoder.neck.eval()
    before = [module.training for module in captioning.model.modules()]
    with pytest.raises(RuntimeError), evaluating(captioning.model):
        assert not any(module.training for module in captioning.model.modules())
        raise RuntimeError("out of memory")
    assert [module.training for module in captioning.model.modules()] == before


def test_the_reward_rises():
    """Features of eight images that are noise: cross-entropy first, then rewards."""
    captioning = tiny_mini(text for captions in REFERENCES for text in captions)
    captioning.model.encoder.backbone.requires_grad_(False)
    objective = CaptionObjective(captioning.model, cached=True)
    codec = CaptionCodec.of(captioning, 64)
    learner = Learner(captioning, objective, codec, CPU)
    rows = [codec.encode(captions) for captions in REFERENCES]
    noise = np.random.default_rng(0).normal(size=(8, 1280, 2, 2)).astype(np.float16)

    def run(name, epochs, rate, step_loss=None):
        config = train_config(
            "mini",
            **NO_NOISE,
            objective=name,
            batch_size=8,
            num_epochs=epochs,
            learning_rate=rate,
            samples_per_image=10,
            warmup_steps=5,
            ema_decay=0.0,
            log_every=1,
        )
        if name == "scst":
            step_loss = self_critical(learner, REFERENCES, rows, config)
        inputs = FeatureInputs(noise, CPU)
        trainer = Trainer(learner, inputs, rows, config, step_loss=step_loss)
        return [event for number in range(epochs) for event in trainer.epoch(number + 1)]

    run("cross-entropy", 40, 2e-3)
    rewards = [event.numbers["reward"] for event in run("scst", 30, 1e-3)]
    assert sum(rewards[-8:]) > 1.25 * sum(rewards[:8])


def test_rows_of_the_embeddings_without_a_token_are_never_sampled():
    captioning = tiny_mini(SENTENCES)
    tokens = len(captioning.tokenizer)
    captioning.model.decoder.resize_token_embeddings(tokens + 40)
    config = train_config("mini", objective="scst", init="mini")
    objective = CaptionObjective(captioning.model, cached=False)
    codec = CaptionCodec.of(captioning, 64)
    rows = [codec.encode(captions) for captions in REFERENCES]
    loss = self_critical(Learner(captioning, objective, codec, CPU), REFERENCES, rows, config)
    states = torch.randn(20, 4, 64, generator=torch.Generator().manual_seed(0))
    numbers = torch.rand(20, 5, 9, generator=torch.Generator().manual_seed(1))
    assert int(loss.sampler.draw(states, numbers).ids.max()) < tokens
