"""Caption pairs a second in training: capgen's trainer and a plain loop, on the same model.

    python tests/bench/train_throughput.py [--images 8] [--rounds 3] [--train-encoder none]

A clip-gpt2-shaped model (ViT-B/32 and GPT-2 small, random weights) learns from made-up images
with five captions each, as long as Flickr8k's. The plain loop does what most scripts do: every
(image, caption) pair passes the encoder, captions are padded to 77 tokens, float32, AdamW.
Both take the same pairs a step, in turns; before that, both must find the same loss.
With a frozen encoder capgen reads cached features; what making them takes is printed, too.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
)

from capgen.config import train_config
from capgen.models.build import Captioning, join
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.models.torch_devices import choose_device, hardware
from capgen.training.data.inputs import FeatureInputs, ImageInputs, Inputs
from capgen.training.data.packed_captions import CaptionCodec, Ids, pack_captions
from capgen.training.objectives.cross_entropy import CaptionObjective
from capgen.training.objectives.learner import Learner
from capgen.training.optimization.trainer import Trainer

END = 50256
PADDED = 77  # the length CLIP's tokenizer pads to
CAPTIONS = 5
# Tokens of Flickr8k's captions in GPT-2's vocabulary: 12 on average, deviation 4.
MEAN, DEVIATION = 12, 4


def main() -> None:
    asked = _arguments()
    device = choose_device(asked.device)
    config = train_config(
        "clip-gpt2",
        batch_size=asked.images,
        train_encoder=asked.train_encoder,
        precision=asked.precision,
        label_smoothing=0.0,
        dropout=0.0,
        warmup_steps=0,
    )
    captioning = _captioner()
    if asked.train_encoder == "none":
        captioning.model.encoder.requires_grad_(False)
    captioning.model.to(device)
    rng = np.random.default_rng(0)
    count = asked.images * asked.steps
    rows = [[_caption(rng) for _ in range(CAPTIONS)] for _ in range(count)]
    images = rng.integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
    pixels = ImageInputs(images, captioning.preprocessor, config, device)
    objective = CaptionObjective(captioning.model, cached=asked.train_encoder == "none")
    inputs, caching = _inputs(objective, pixels, device)
    codec = CaptionCodec(tokenizer=None, start=END, end=END, pad=END, unknown=None, max_tokens=64)
    learner = Learner(captioning, objective, codec, device)
    trainer = Trainer(learner, inputs, rows, config)
    trainer.steps_per_report = 10**9
    plain = PlainLoop(captioning.model, pixels, rows, asked.images, device)
    losses = _losses(objective, inputs, plain, rows[: asked.images], device)
    assert math.isclose(*losses, rel_tol=1e-2 if asked.precision != "fp32" else 1e-4), losses

    def with_capgen() -> None:
        trainer.step = 0  # the same epoch again
        for _ in trainer.epoch(1):
            pass

    speeds: dict[str, list[float]] = {"plain": [], "capgen": []}
    for number in range(asked.rounds + 1):
        for name, run, steps in (
            ("plain", lambda: plain.epoch(asked.plain_steps), asked.plain_steps),
            ("capgen", with_capgen, asked.steps),
        ):
            seconds = _seconds(run, device)
            if number:  # the first round warms up
                speeds[name].append(steps * asked.images * CAPTIONS / seconds)
    ratios = [mine / other for mine, other in zip(speeds["capgen"], speeds["plain"], strict=True)]
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    result = {
        "device": hardware(device),
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}",
        "train_encoder": asked.train_encoder,
        "precision": str(trainer.dtype),
        "pairs a step": asked.images * CAPTIONS,
        "loss (capgen, plain)": [round(loss, 4) for loss in losses],
        "pairs/s": {name: [round(v, 2) for v in values] for name, values in speeds.items()},
        "pairs/s, median": {name: round(value, 2) for name, value in medians.items()},
        "ratio, median of the rounds": round(statistics.median(ratios), 2),
        "features, once, s an image": round(caching / count, 4) if caching else None,
    }
    print(json.dumps(result, indent=2))


class PlainLoop:
    """A loop over (image, caption) pairs, as a script would have it."""

    def __init__(
        self,
        model: Any,
        pixels: Inputs,
        rows: list[list[Ids]],
        images: int,
        device: torch.device,
    ) -> None:
        self.model = model
        self.pixels = pixels
        self.pairs = [(number, ids) for number, row in enumerate(rows) for ids in row]
        self.size = images * CAPTIONS
        self.device = device
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-5)

    def epoch(self, steps: int) -> None:
        """Take a number of steps over the first pairs."""
        self.model.train()
        for start in range(0, steps * self.size, self.size):
            loss = self.loss(self.pairs[start : start + self.size])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()

    def loss(self, pairs: list[tuple[int, Ids]]) -> Tensor:
        """Return the mean loss a token of a batch of pairs."""
        inputs = torch.full((len(pairs), PADDED), END)
        labels = torch.full((len(pairs), PADDED), -100)
        mask = torch.zeros((len(pairs), PADDED), dtype=torch.long)
        for index, (_, ids) in enumerate(pairs):
            length = len(ids) - 1
            inputs[index, :length] = torch.from_numpy(ids[:-1])
            labels[index, :length] = torch.from_numpy(ids[1:])
            mask[index, :length] = 1
        logits = self.model(
            pixel_values=self.pixels.batch(torch.tensor([number for number, _ in pairs])),
            decoder_input_ids=inputs.to(self.device),
            decoder_attention_mask=mask.to(self.device),
        ).logits
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.to(self.device).flatten(), ignore_index=-100
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=8, help="images a step")
    parser.add_argument("--steps", type=int, default=4, help="capgen's steps a round")
    parser.add_argument("--plain-steps", type=int, default=1, help="the plain loop's (slower)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--train-encoder", choices=("all", "none"), default="none")
    return parser.parse_args()


def _captioner() -> Captioning:
    torch.manual_seed(0)
    encoder = CLIPVisionModel(CLIPVisionConfig(hidden_size=768, intermediate_size=3072))
    silent = {"embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_pdrop": 0.0}
    decoder = GPT2LMHeadModel(GPT2Config(add_cross_attention=True, **silent))
    generation = GenerationConfig(
        decoder_start_token_id=END, bos_token_id=END, eos_token_id=END, pad_token_id=END
    )
    preprocessor = Preprocessor(
        size=(224, 224), mean=(0.481, 0.458, 0.408), std=(0.269, 0.261, 0.276)
    )
    return Captioning(join(encoder, decoder, generation), None, preprocessor)


def _caption(rng: np.random.Generator) -> Ids:
    length = int(np.clip(rng.normal(MEAN, DEVIATION), 4, 40))
    return np.array([END, *rng.integers(0, END, length), END], dtype=np.int64)


def _inputs(
    objective: CaptionObjective, pixels: ImageInputs, device: torch.device
) -> tuple[Inputs, float]:
    """Return the trainer's inputs, and the seconds that cached features took."""
    if not objective.cached:
        return pixels, 0.0
    begun = time.perf_counter()
    with torch.inference_mode():
        parts = torch.arange(len(pixels)).split(16)
        features = [objective.front.eval()(pixels.batch(part)).cpu() for part in parts]
    made = torch.cat(features).half().numpy()
    return FeatureInputs(made, device), time.perf_counter() - begun


@torch.no_grad()
def _losses(
    objective: CaptionObjective,
    inputs: Inputs,
    plain: PlainLoop,
    rows: list[list[Ids]],
    device: torch.device,
) -> tuple[float, float]:
    """Return the mean loss a token of the first images, by capgen and by the plain loop."""
    objective.model.eval()
    packed = pack_captions(rows, pad=END, unknown=None)
    states = objective.encode(inputs.batch(torch.arange(len(rows))))
    mine = objective.loss_sum(states, packed.to(device)).item() / packed.tokens
    return mine, plain.loss(plain.pairs[: len(rows) * CAPTIONS]).item()


def _seconds(run: Callable[[], None], device: torch.device) -> float:
    begun = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
