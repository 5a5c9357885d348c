"""Self-critical training: sampled captions that score above the image's other samples become
more likely, the others less.

Rennie et al., "Self-critical sequence training for image captioning" (CVPR 2017), with the
mean of an image's other samples as the baseline (Luo, "A better variant of self-critical
sequence training", 2020). The reward is CIDEr-D with the caption's end as a word, so that
unfinished captions score lower; the recall of the image's nouns may be added.

    images ─► front ─┬─► back, no dropout ─► samples ─► rewards ─► advantages
                     └─► back, dropout ────► log-probabilities of samples, cross-entropy
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from capgen.config import TrainConfig
from capgen.training.data import epoch_order
from capgen.training.data.packed_captions import Ids, PackedCaptions, pack_captions
from capgen.training.data.transfer import to_device
from capgen.training.objectives.base import Share, ShareLoss
from capgen.training.objectives.cross_entropy import (
    CaptionObjective,
    LastHiddenState,
    cross_entropy_sum,
)
from capgen.training.objectives.learner import Learner
from capgen.training.objectives.scst.cider_reward import CiderReward
from capgen.training.objectives.scst.noun_recall import NounRecall
from capgen.training.objectives.scst.noun_settings import nouns_once
from capgen.training.objectives.scst.sampler import Sampler, Samples
from capgen.training.objectives.scst.token_words import TokenReader, Words

# For models that do not limit the length of their captions.
_MAX_TOKENS = 32


class SelfCritical:
    """Advantage-weighted log-probabilities of samples, and a share of cross-entropy.

    The first part is divided by the number of tokens that as many human captions would have,
    which is known before sampling and independent of how a step is cut.

    Args:
        objective: The captioner's forward pass.
        sampler: Draws captions.
        reader: Reads their words.
        reward: Scores them.
        mean_tokens: Mean tokens per human caption, the end included.
        config: Samples per image, share of cross-entropy, weight of the nouns' recall, seed.
        recall: Scores the nouns that they say; None without that reward.
    """

    names: tuple[str, ...] = ("reward", "sample_length", "cross_entropy")

    def __init__(
        self,
        objective: CaptionObjective,
        sampler: Sampler,
        reader: TokenReader,
        reward: CiderReward,
        mean_tokens: float,
        config: TrainConfig,
        recall: NounRecall | None = None,
    ) -> None:
        self.objective = objective
        self.sampler = sampler
        self.reader = reader
        self.reward = reward
        self.recall = recall
        self.noun_reward = config.noun_reward
        self.mean_tokens = mean_tokens
        self.samples = config.samples_per_image
        self.cross_entropy_share = config.cross_entropy_share
        self.seed = config.seed
        if recall is not None:
            self.names = (*self.names, "noun_recall")

    def __call__(self, share: Share) -> ShareLoss:
        states, samples = self._states_and_samples(share)
        words = self.reader.read(samples.ids, samples.ended)
        rewards, recalls = self._rewards(share.images, words)
        rewards = rewards.to(states.device)
        weights = advantages(rewards).float() * (not share.idle)
        # References and samples lie in one row, so that the image is attended to once.
        sampled = pack_samples(samples, self.sampler.start).to(states.device)
        logits = self.objective.logits(states, share.captions.beside(sampled))
        given = share.captions.tokens
        smoothing = self.objective.label_smoothing
        entropy = cross_entropy_sum(logits[:given], share.captions, smoothing)
        entropy = entropy / max(share.tokens, 1)
        surprise = F.cross_entropy(
            self.sampler.scores(logits[given:], self.sampler.histories(samples)),
            sampled.targets,
            reduction="none",
        )
        weights = weights.flatten().repeat_interleave(samples.lengths.flatten())
        count = self.samples * share.step_images
        policy = (weights * surprise).sum() / (count * self.mean_tokens)
        loss = policy + self.cross_entropy_share * entropy
        measured = torch.stack([rewards.sum().float(), samples.lengths.sum().float()]) / count
        recalled = recalls.to(states.device).sum((1, 2)).float() / count
        numbers = torch.cat(
            [measured * (not share.idle), entropy.detach()[None], recalled * (not share.idle)]
        )
        return ShareLoss(loss, numbers)

    def _rewards(self, images: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rewards of samples, (B, S), and the recalls in them, (0 or 1, B, S)."""
        rewards = self.reward(images, words)
        if self.recall is None:
            return rewards, rewards.new_zeros((0, *rewards.shape))
        recalls = self.recall(images, words)
        return rewards + self.noun_reward * recalls, recalls[None]

    def _states_and_samples(self, share: Share) -> tuple[Tensor, Samples]:
        """Encode the images, with gradients, and sample captions without dropout."""
        objective = self.objective
        uniform = to_device(self._uniform(share), share.inputs.device)
        same = objective.cached or not isinstance(objective.front, LastHiddenState)
        if same:
            # Our own backbone computes the same in training and evaluation: once is enough.
            features = share.inputs if objective.cached else objective.front(share.inputs)
            with torch.no_grad(), evaluating(objective.back):
                clean = objective.back(features.detach())
        else:
            with torch.no_grad(), evaluating(objective.model.encoder):
                clean = objective.encode(share.inputs)
        samples = self.sampler.draw(clean, uniform)
        # Autocast caches casts of weights; those made without gradients would cut them off.
        torch.clear_autocast_cache()
        states = objective.back(features) if same else objective.encode(share.inputs)
        return states, samples

    def _uniform(self, share: Share) -> Tensor:
        """Return the numbers that decide the samples, (B, S, T), by image and step alone."""
        shape = (self.samples, self.sampler.max_tokens)
        drawn = [
            np.random.default_rng(
                epoch_order.random_seed(self.seed, epoch_order.SELF_CRITICAL, share.step, image)
            ).random(shape, dtype=np.float32)
            for image in share.images.tolist()
        ]
        return torch.from_numpy(np.stack(drawn))


def self_critical(
    learner: Learner,
    references: Sequence[Sequence[str]],
    rows: Sequence[Sequence[Ids]],
    config: TrainConfig,
) -> SelfCritical:
    """Return self-critical training, given each training image's human captions and their ids."""
    captioning, codec = learner.captioning, learner.codec
    generation = captioning.model.generation_config
    longest = (generation.max_length or _MAX_TOKENS) - 1  # it counts the start
    barred = {*(generation.suppress_tokens or ()), codec.start, generation.pad_token_id}
    # Rows of the embeddings that only make their number round.
    barred |= set(range(len(captioning.tokenizer), captioning.model.decoder.config.vocab_size))
    if codec.unknown is not None:
        barred.add(codec.unknown)
    sampler = Sampler(
        captioning.model,
        start=codec.start,
        end=codec.end,
        barred=[token for token in barred if token is not None],
        max_tokens=generation.max_new_tokens or longest,
        temperature=config.sample_temperature,
        once=nouns_once(captioning.tokenizer) if config.nouns_once else None,
    )
    words = Words()
    reader = TokenReader(captioning.tokenizer, words, learner.device)
    numbers = words.numbered(references, end=True)
    lengths = [len(ids) - 1 for row in rows for ids in row]
    return SelfCritical(
        learner.objective,
        sampler,
        reader,
        CiderReward(numbers, learner.device),
        sum(lengths) / len(lengths),
        config,
        NounRecall(numbers, words, learner.device) if config.noun_reward else None,
    )


def advantages(rewards: Tensor) -> Tensor:
    """Return how far each reward, (B, S), is above the mean of the image's other samples."""
    count = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * count / (count - 1)


def pack_samples(samples: Samples, start: int) -> PackedCaptions:
    """Pack the samples of each image into one row."""
    ids = samples.ids.cpu().numpy()
    lengths = samples.lengths.tolist()
    first = np.array([start])
    rows = [
        [np.concatenate([first, row[:length]]) for row, length in zip(*image, strict=True)]
        for image in zip(ids, lengths, strict=True)
    ]
    return pack_captions(rows, pad=start, unknown=None)


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Turn dropout off while the block runs."""
    before = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training
