"""Settings: every default, range and help text has its one home here.

The classes are frozen and check themselves; the command line, the docs and the library
read names, ranges and help from the fields' metadata.
"""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.errors import ModelError, UsageError, did_you_mean


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a dataclass field with its default, help text and accepted range (inclusive)."""
    metadata = {"help": help, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def flag_name(field_name: str) -> str:
    """Return the command-line flag of a field, as in `max_length` → `--max-length`."""
    return "--" + field_name.replace("_", "-")


def accepted(field: Any) -> str:
    """Return in words what a field accepts, as in ` (1 to 64)`; nothing if it accepts all."""
    low, high = field.metadata["low"], field.metadata["high"]
    if field.metadata["choices"]:
        return f" ({', '.join(field.metadata['choices'])})"
    if low is not None and high is not None:
        return f" ({low} to {high})"
    return "" if low is None else f" (at least {low})"


def check_ranges(config: Any) -> None:
    """Check each field of a settings object against its declared range.

    Raises:
        UsageError: Naming the flag, the value and the range.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is None:
            continue
        low, high = field.metadata.get("low"), field.metadata.get("high")
        choices = field.metadata.get("choices", ())
        if choices and value not in choices:
            raise UsageError(
                f"{flag_name(field.name)} is {value!r}; it must be one of {', '.join(choices)}"
            )
        if low is None and high is None:
            continue
        if not _is_number(value):
            raise UsageError(f"{flag_name(field.name)} is {value!r}; it must be a number")
        if "float" not in str(field.type) and not isinstance(value, numbers.Integral):
            raise UsageError(f"{flag_name(field.name)} is {value!r}; it must be a whole number")
        if (low is not None and value < low) or (high is not None and value > high):
            raise UsageError(f"{flag_name(field.name)} is {value}; it must be {_range(low, high)}")


def parse_setting(config_class: Any, name: str, text: str) -> Any:
    """Return the value of a setting given as text, by the type of its field.

    Args:
        config_class: A settings class of this module.
        name: The field, with dashes or underscores.
        text: The value; true, false, yes, no, 1 and 0 are booleans; `none` means not set;
            several values are a JSON list of strings.

    Raises:
        UsageError: There is no such setting, or the text is not of its type.
    """
    fields = {field.name: str(field.type) for field in dataclasses.fields(config_class)}
    name = name.replace("-", "_")
    if name not in fields:
        raise UsageError(f"Unknown setting '{name}'", hint=did_you_mean(name, fields))
    kind, _, optional = fields[name].partition(" | ")
    if optional and text.lower() == "none":
        return None
    several = _string_list(text) if "tuple" in optional else []
    if several:
        return tuple(Path(item) if kind == "Path" else item for item in several)
    if kind == "bool":
        if text.lower() not in BOOLEANS:
            raise UsageError(f"{flag_name(name)} is {text!r}; it must be true or false")
        return BOOLEANS[text.lower()]
    try:
        return {"int": int, "float": float, "str": str, "Path": Path}[kind](text)
    except ValueError as error:
        what = "a whole number" if kind == "int" else "a number"
        raise UsageError(f"{flag_name(name)} is {text!r}; it must be {what}") from error


def _string_list(text: str) -> list[str]:
    """Return the strings of a JSON list; none if the text is something else, as a path."""
    try:
        values = json.loads(text) if text.startswith("[") else None
    except ValueError:
        return []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return []
    return values


BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number, of Python or numpy."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value)


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    if high is None:
        return f"at least {low}"
    return f"between {low} and {high}"


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """The largest picture that is decoded.

    Raises:
        UsageError: A limit is below 1.
    """

    # Pillow refuses what is larger by default; such a picture takes 0.7 GB as RGB.
    max_pixels: int = setting(
        178_956_970, "Refuse pictures of more pixels, before decoding.", low=1
    )
    # Holds the largest picture that max_pixels admits, uncompressed with 16 bits a channel.
    max_bytes: int = setting(1 << 30, "Refuse files of more bytes.", low=1)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How many pictures are captioned: how much at once, and what failures do.

    Raises:
        UsageError: A value is out of its range.
    """

    batch_size: int = setting(16, "Pictures the model sees at once.", low=1, high=4096)
    workers: int | None = setting(
        None, "Threads that read and decode; by default one a core.", low=1, high=256
    )
    retry_failed: bool = setting(False, "Try again what failed in an earlier run.")
    fail_fast: bool = setting(False, "Stop at the first failure.")

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How named inputs become pictures."""

    recursive: bool = setting(False, "Look into subfolders.")
    include: tuple[str, ...] = setting((), "In folders and archives: only what matches.")
    exclude: tuple[str, ...] = setting((), "In folders and archives: leave out what matches.")
    null_separated: bool = setting(False, "The list on stdin is separated by NUL bytes.")
    path_column: str | None = setting(None, "Column of the manifest that names the pictures.")
    allow_private: bool = setting(False, "Fetch from private and loopback addresses too.")


@dataclass(frozen=True, kw_only=True)
class DownloadLimits:
    """What a picture from the network may cost."""

    seconds: float = setting(30.0, "Longest download.")
    redirects: int = setting(5, "Most redirects.")
    max_bytes: int = setting(64 << 20, "Largest download.")


BEAMS_LIMIT = 64
# Beams for each caption that is to differ from the others: measured in docs/captioning.md.
DIVERSE_BEAMS = 6


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """What a caller asks of decoding; None means the model's own default.

    Raises:
        UsageError: A value is out of its range, or two of them exclude each other.
    """

    beams: int | None = setting(
        None, "Beams of beam search; 1 decodes greedily.", low=1, high=BEAMS_LIMIT
    )
    temperature: float | None = setting(
        None,
        "Divide the logits by this before the softmax. Alone it samples; "
        "with --beams above 1 the search runs over the scaled scores.",
        low=0.1,
        high=2.0,
    )
    top_k: int | None = setting(
        None, "Sample from the K likeliest tokens only.", low=1, high=100000
    )
    top_p: float | None = setting(
        None,
        "Sample from the smallest set of tokens with this total probability.",
        low=0.01,
        high=1.0,
    )
    max_length: int | None = setting(
        None, "Longest caption in tokens, start and end included.", low=2, high=1024
    )
    min_length: int | None = setting(
        None, "Shortest caption in tokens, start and end included.", low=0, high=1024
    )
    length_penalty: float | None = setting(
        None,
        "Exponent of the length that divides a beam's log-probability; above 0 favours longer.",
        low=-5.0,
        high=5.0,
    )
    repetition_penalty: float | None = setting(
        None, "Make words already said less likely; 1 is off.", low=0.1, high=10.0
    )
    no_repeat_ngram_size: int | None = setting(
        None, "Never say the same run of N tokens twice; 0 is off.", low=0, high=100
    )
    num_captions: int | None = setting(None, "Captions a picture, best first.", low=1, high=64)
    seed: int | None = setting(
        None, "Seed of the sampling, the same for every picture.", low=0, high=2**32 - 1
    )
    diverse: int | None = setting(
        None, "Captions a picture that say different things, best first.", low=2, high=20
    )
    retry: bool = setting(True, "Caption again what came out empty or repeats itself.")
    confidence: bool = setting(False, "Say how likely each caption is to be a good one.")
    min_confidence: float | None = setting(
        None, "Say nothing about pictures with a lower confidence than this.", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.diverse is not None:
            others = ("num_captions", "beams", "temperature", "top_k", "top_p")
            for name in others:
                if getattr(self, name) is not None:
                    raise UsageError(
                        f"--diverse {self.diverse} and {flag_name(name)} exclude each other",
                        hint="--diverse chooses from a wide beam search of its own.",
                    )
        if self.beams is not None and self.beams > 1:
            for name in ("top_k", "top_p"):
                if getattr(self, name) is not None:
                    raise UsageError(
                        f"{flag_name(name)} samples and --beams {self.beams} searches: choose one",
                        hint=f"Leave out --beams to sample, or {flag_name(name)} to search.",
                    )
        if (
            self.beams is not None
            and self.num_captions is not None
            and not self.samples
            and self.num_captions > self.beams
        ):
            raise UsageError(
                f"--num-captions {self.num_captions} is more than --beams {self.beams} can give",
                hint=f"Use --beams {self.num_captions} or more, or sample with --temperature.",
            )
        if (
            self.max_length is not None
            and self.min_length is not None
            and self.min_length > self.max_length
        ):
            raise UsageError(
                f"--min-length {self.min_length} is more than --max-length {self.max_length}"
            )

    @property
    def samples(self) -> bool:
        """Whether these options ask for sampling rather than search."""
        asked = self.temperature is not None or self.top_k is not None or self.top_p is not None
        return asked and self.beams in (None, 1)


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """Decoding settings with nothing left open; names and meanings as in `DecodeOptions`.

    Attributes:
        sample: Draw tokens at random instead of taking the likeliest.
        early_stopping: Stop a beam search at `num_beams` finished captions
            (transformers' meaning of the word, `"never"` included).
        diverse: Choose `num_captions` captions that differ out of a wider search.
    """

    beams: int = 1
    sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    max_length: int = 32
    min_length: int = 0
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    num_captions: int = 1
    seed: int | None = None
    early_stopping: bool | str = False
    diverse: bool = False
    retry: bool = True
    confidence: bool = False
    min_confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as built-in types, for records."""
        return dataclasses.asdict(self)


# The least that decoding can work with, by key of generation_config. Not the options' ranges:
# a model's author may go beyond those.
_LEAST = {
    "num_beams": 1,
    "max_length": 2,
    "max_new_tokens": 1,
    "min_length": 0,
    "top_k": 0,
    "no_repeat_ngram_size": 0,
    "temperature": 1e-3,
    "top_p": 1e-3,
    "repetition_penalty": 1e-3,
    "length_penalty": -math.inf,
}


def _of_model(key: str, value: Any) -> Any:
    """Return a value of a generation_config if decoding can work with it.

    Raises:
        ModelError: It cannot.
    """
    if not _is_number(value) or value < _LEAST[key]:
        raise ModelError(f"The model's generation_config has {key} {value!r}")
    return value


def resolve_decoding(
    options: DecodeOptions, generation: Mapping[str, Any], *, positions: int | None
) -> tuple[DecodeSettings, tuple[str, ...]]:
    """Fill what `options` leaves open from a model's `generation_config.json`.

    Args:
        options: What the caller asked for.
        generation: The model's generation_config as a mapping.
        positions: Most tokens the decoder has positions for, start and end included.

    Returns:
        The settings, and a note in plain words for each value that had to change.

    Raises:
        UsageError: The lengths contradict each other once the defaults are known.
        ModelError: The generation_config holds values that nothing can be made of.
    """

    def pick(name: str, key: str, default: Any) -> Any:
        asked = getattr(options, name)
        if asked is not None:
            return asked
        given = generation.get(key)
        return default if given is None else _of_model(key, given)

    default_samples = bool(generation.get("do_sample")) and options.beams is None
    sample = options.samples or default_samples
    num_captions = int(options.diverse or options.num_captions or 1)
    if options.diverse is not None:
        sample = False
    beams = 1 if sample else int(pick("beams", "num_beams", 1))
    if options.diverse is not None:
        beams = min(BEAMS_LIMIT, DIVERSE_BEAMS * num_captions)
    elif not sample and options.beams is None:
        beams = max(beams, num_captions)
    notes = []
    max_length = int(pick("max_length", "max_length", 32))
    if options.max_length is None and generation.get("max_new_tokens"):
        max_length = int(_of_model("max_new_tokens", generation["max_new_tokens"])) + 1
    if positions is not None and max_length > positions:
        if options.max_length is not None:
            notes.append(f"max_length {max_length} clamped to the model's {positions} positions")
        max_length = positions
    min_length = int(pick("min_length", "min_length", 0))
    if min_length > max_length:
        if options.min_length is not None:
            raise UsageError(
                f"--min-length {min_length} is more than the {max_length} tokens allowed"
            )
        min_length = max_length
    settings = DecodeSettings(
        beams=beams,
        sample=sample,
        temperature=float(pick("temperature", "temperature", 1.0))
        if sample or options.temperature is not None
        else 1.0,
        top_k=int(pick("top_k", "top_k", 0)) if sample else 0,
        top_p=float(pick("top_p", "top_p", 1.0)) if sample else 1.0,
        max_length=max_length,
        min_length=min_length,
        length_penalty=float(pick("length_penalty", "length_penalty", 1.0)),
        repetition_penalty=float(pick("repetition_penalty", "repetition_penalty", 1.0)),
        no_repeat_ngram_size=int(pick("no_repeat_ngram_size", "no_repeat_ngram_size", 0)),
        num_captions=num_captions,
        seed=None if options.seed is None else int(options.seed),
        early_stopping=generation.get("early_stopping") or False,
        diverse=options.diverse is not None,
        retry=options.retry,
        confidence=options.confidence or options.min_confidence is not None,
        min_confidence=options.min_confidence,
    )
    return settings, tuple(notes)


EVAL_STRATEGIES = (
    *("meteor-centric", "weighted-composite", "pareto", "multi-criteria"),
    *("meteor", "bleu", "rouge", "cider"),
)
OBJECTIVES = ("cross-entropy", "scst")
_LAST_BLOCKS = re.compile(r"last-[1-9][0-9]{0,3}")


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """How captions are judged; how they are made is a matter of `DecodeOptions`.

    Raises:
        UsageError: A value is out of its range.
    """

    split: str = setting("test", "Split of the data set: val, test or train.")
    limit: int | None = setting(None, "Score the first N photos of the split only.", low=1)
    metrics: str = setting(
        "bleu,rouge_l,rouge_score,cider_d,meteor",
        "Metrics with commas between them; meteor_1_5 and spice need Java and the extra coco.",
    )
    resamples: int = setting(
        1000, "Resamples of the bootstrap behind the intervals.", low=100, high=100_000
    )
    report_seed: int = setting(
        0, "Seed of the bootstrap and of the examples drawn at random.", low=0, high=2**32 - 1
    )
    examples: int = setting(
        6, "Best, worst and random examples in the HTML report, each.", low=0, high=50
    )
    batch_size: int = setting(16, "Photos the model sees at once.", low=1)

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics one by one: keys of `capgen.metrics.score.METRICS`."""
        return tuple(dict.fromkeys(part.strip() for part in self.metrics.split(",")))


@dataclass(frozen=True, kw_only=True)
class CalibrateConfig:
    """How a captioner's confidence is fitted; how it captions is a matter of `DecodeOptions`.

    Raises:
        UsageError: A value is out of its range.
    """

    split: str = setting("val", "Split of the data set to fit on.")
    limit: int | None = setting(None, "Fit on the first N photos of the split only.", low=1)
    metric: str = setting(
        "meteor", "What makes a caption a good one.", choices=("meteor", "cider_d")
    )
    threshold: float | None = setting(
        None,
        "Score from which a caption is good; by default 1/3 for meteor, 0.25 for cider_d.",
        low=0.0,
        high=10.0,
    )
    drawn: int = setting(
        300, "Pictures that are no photos, drawn as examples of what to mistrust.", low=0
    )
    folds: int = setting(10, "Folds of the cross-validation.", low=2, high=100)
    fit_seed: int = setting(
        0, "Seed of the folds and of the drawn pictures.", low=0, high=2**32 - 1
    )
    batch_size: int = setting(16, "Photos the model sees at once.", low=1)

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def good_from(self) -> float:
        """The threshold."""
        if self.threshold is not None:
            return self.threshold
        return {"meteor": 1 / 3, "cider_d": 0.25}[self.metric]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides how a training run goes; `train_config` fills in a preset.

    Raises:
        UsageError: A value is out of its range, or two of them exclude each other.
    """

    preset: str = setting("clip-gpt2", "Architecture and recipe: clip-gpt2 or mini.")
    encoder: str | None = setting(
        None, "Vision encoder: Hub id or folder; for mini lite0, lite1 or lite2."
    )
    decoder: str | None = setting(None, "GPT-2 of any size: Hub id or folder (clip-gpt2 only).")
    init: str | None = setting(
        None, "Captioner to go on from (folder, run or Hub id) instead of a new one."
    )
    extend_vocabulary: bool = setting(
        True, "With --init: add words of the training captions to a vocabulary of words."
    )
    # One data set is its name or folder, several are a tuple.
    data_dir: Path | tuple[Path, ...] | None = setting(  # noqa: RUF009
        None, "The data set's folder or file, or PATH=WEIGHT; may be repeated."
    )
    dataset: str | tuple[str, ...] | None = setting(
        None, "Name of an installed data set, or NAME=WEIGHT; may be repeated."
    )
    output_dir: Path | None = setting(None, "The run's folder; by default runs/NAME.")  # noqa: RUF009
    name: str | None = setting(None, "The run's name; by default preset and time.")

    num_epochs: int = setting(20, "Passes over the training photos.", low=1, high=10000)
    objective: str = setting(
        "cross-entropy",
        "What is learned: cross-entropy of human captions, or scst (CIDEr-D of sampled ones).",
        choices=OBJECTIVES,
    )
    samples_per_image: int = setting(
        5, "Captions sampled for a photo and step (scst only).", low=2, high=1000
    )
    sample_temperature: float = setting(
        1.0, "Temperature of the samples (scst only).", low=0.1, high=10.0
    )
    cross_entropy_share: float = setting(
        0.1, "Weight of the cross-entropy beside the reward (scst only).", low=0.0, high=10.0
    )

    batch_size: int = setting(64, "Photos a pass, over all processes.", low=1, high=65536)
    accumulation: int = setting(
        1, "Passes a step: a step is over batch-size times this many photos.", low=1, high=65536
    )
    captions_per_image: int = setting(5, "Captions a photo and step, at most.", low=1, high=1000)
    learning_rate: float = setting(5e-4, "Peak learning rate of new parts.", low=0.0, high=10.0)
    encoder_learning_rate: float = setting(
        2e-4, "Peak learning rate of a pretrained encoder.", low=0.0, high=10.0
    )
    decoder_learning_rate: float = setting(
        5e-4, "Peak learning rate of a pretrained decoder.", low=0.0, high=10.0
    )
    weight_decay: float = setting(0.05, "Decay of matrices (AdamW).", low=0.0, high=10.0)
    beta1: float = setting(0.9, "AdamW's decay of the mean gradient.", low=0.0, high=0.9999)
    beta2: float = setting(0.98, "AdamW's decay of the squared gradient.", low=0.0, high=0.99999)
    warmup_steps: int = setting(200, "Steps from 0 to the peak learning rate.", low=0)
    schedule: str = setting(
        "cosine", "Learning rate after the warm-up.", choices=("cosine", "linear", "constant")
    )
    clip_norm: float = setting(1.0, "Largest gradient norm; 0 is off.", low=0.0, high=1e6)
    label_smoothing: float = setting(0.1, "Label smoothing of the loss.", low=0.0, high=0.9)
    dropout: float = setting(0.2, "Dropout of the decoder and the neck.", low=0.0, high=0.9)
    ema_decay: float = setting(
        0.998, "Decay of the weights' moving average; 0 is off.", low=0.0, high=0.99999
    )
    min_count: int = setting(4, "Words seen less often are unknown (mini only).", low=1)
    max_tokens: int = setting(
        64, "Longer captions are cut to this many tokens, start included.", low=4, high=1024
    )
    image_size: int = setting(288, "Side of the photos in pixels (mini only).", low=32, high=1024)
    decoder_layers: int = setting(3, "Layers of a new small decoder (mini only).", low=1, high=48)
    decoder_width: int = setting(
        256, "Width of a new small decoder, a multiple of 8 (mini only).", low=8, high=4096
    )
    train_encoder: str = setting(
        "all", "What is trained of a pretrained encoder: all, none, or its last N blocks (last-N)."
    )
    lora_rank: int = setting(
        0, "Train low-rank additions to the decoder instead of its weights; 0 is off.", low=0
    )

    # One teacher is its name, several are a tuple.
    teacher: str | tuple[str, ...] | None = setting(
        None, "Captioner to learn from beside the captions; may be repeated."
    )
    distill: str = setting(
        "sequence",
        "What is learned from teachers: their captions of the training photos or, as token, "
        "their distribution over each next token (for which they need the same vocabulary).",
        choices=("token", "sequence"),
    )
    distill_weight: float = setting(
        0.5, "Share of the teachers in the loss; the rest is of the captions.", low=0.0, high=1.0
    )
    distill_temperature: float = setting(
        1.0, "Temperature of teachers and student in --distill token.", low=0.1, high=20.0
    )

    crop_area: float = setting(
        0.5, "Random crops keep at least this share of a photo; 1 is off.", low=0.05, high=1.0
    )
    crop_aspect: float = setting(
        4 / 3, "Random crops are at most this far from square; 1 is off.", low=1.0, high=4.0
    )
    flip: bool = setting(True, "Mirror half of the photos.")
    color_jitter: float = setting(
        0.3, "Random brightness, contrast and saturation, up to this share.", low=0.0, high=0.9
    )

    eval: bool = setting(True, "Caption val and score it; otherwise only its loss is measured.")
    eval_strategy: str = setting(
        "meteor-centric", "What makes a model best-eval.", choices=EVAL_STRATEGIES
    )
    eval_every: int = setting(1, "Epochs from one validation to the next.", low=1)
    eval_limit: int | None = setting(None, "Validate on this many photos only.", low=1)
    eval_batch_size: int | None = setting(
        None, "Photos a batch in validation; by default 64, on GPUs 256.", low=1
    )
    patience: int | None = setting(
        None, "Stop after this many validations without a better one.", low=1
    )
    test: bool = setting(True, "Score the chosen model on the test split at the end.")
    test_samples_per_epoch: int = setting(
        0, "Show this many random validation photos' captions after each validation.", low=0
    )
    followed_samples: int = setting(
        6,
        "Validation photos whose captions the run page and the trackers show every time.",
        low=0,
        high=100,
    )
    wandb: bool = setting(False, "Record the run in Weights & Biases too.")
    wandb_project: str = setting("capgen", "Project in Weights & Biases.")
    wandb_run_name: str | None = setting(None, "Name there; by default that of the run's folder.")
    wandb_checkpoints: str = setting(
        "end",
        "Models sent there: the chosen ones at the end, each better one, or none.",
        choices=("end", "each", "none"),
    )
    tensorboard: bool = setting(False, "Write the run for TensorBoard too.")
    log_every: int = setting(10, "Steps from one report to the next.", low=1)
    save_every: int = setting(
        500, "Steps from one saved state to the next; 0 saves at the ends of epochs only.", low=0
    )
    keep_states: int = setting(1, "Saved states that are kept.", low=1, high=1000)

    device: str = setting("auto", "Where to compute.", choices=("auto", "cpu", "cuda", "mps"))
    precision: str = setting(
        "auto",
        "Type of the arithmetic; auto is bf16 on CUDA.",
        choices=("auto", "fp32", "bf16", "fp16"),
    )
    compile: bool = setting(False, "Compile the encoder with torch.compile.")
    gradient_checkpointing: bool = setting(
        False, "Compute activations twice rather than keep them: less memory, slower."
    )
    workers: int | None = setting(
        None, "Threads that decode photos; by default one a core.", low=1, high=256
    )
    seed: int = setting(0, "Seed of weights, order, augmentation and dropout.", low=0, high=2**31)

    def __post_init__(self) -> None:
        object.__setattr__(self, "teacher", _one_or_several(self.teacher, str))
        object.__setattr__(self, "data_dir", _one_or_several(self.data_dir, Path))
        object.__setattr__(self, "dataset", _one_or_several(self.dataset, str))
        check_ranges(self)
        if self.preset not in TRAIN_PRESETS:
            raise UsageError(
                f"Unknown preset '{self.preset}'", hint=did_you_mean(self.preset, TRAIN_PRESETS)
            )
        if self.objective != "cross-entropy" and self.teachers:
            raise UsageError(
                f"--teacher is for --objective cross-entropy, not for {self.objective}",
                hint="In a file with stages, put teacher under the stage that it is for.",
            )
        if self.preset == "mini" and self.decoder is not None:
            raise UsageError("--decoder is for clip-gpt2: mini makes its own small decoder")
        if self.decoder_width % 8:
            raise UsageError(f"--decoder-width is {self.decoder_width}; it must be a multiple of 8")
        if self.train_encoder not in ("all", "none") and not _LAST_BLOCKS.fullmatch(
            self.train_encoder
        ):
            raise UsageError(
                f"--train-encoder is {self.train_encoder!r}; it must be all, none or last-N",
                hint="--train-encoder last-2 trains the last two blocks.",
            )

    @property
    def encoder_blocks(self) -> int | None:
        """Blocks of a pretrained encoder that are trained; None is all of it."""
        if self.train_encoder == "all":
            return None
        return int(self.train_encoder.removeprefix("last-").replace("none", "0"))

    @property
    def images_a_step(self) -> int:
        """Photos whose gradients make one step."""
        return self.batch_size * self.accumulation

    @property
    def teachers(self) -> tuple[str, ...]:
        """The teachers, one by one."""
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher or ()

    @property
    def augments(self) -> bool:
        """Whether any augmentation of the photos is on."""
        crops = self.crop_area < 1 or self.crop_aspect > 1
        return crops or self.flip or self.color_jitter > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as built-in types, for records."""
        return {name: _built_in(value) for name, value in dataclasses.asdict(self).items()}


def _one_or_several(value: Any, kind: type) -> Any:
    """Return a list of one as that one, a longer one as a tuple."""
    if not isinstance(value, list | tuple):
        return value
    several = tuple(kind(item) for item in value)
    return several if len(several) > 1 else several[0] if several else None


def _built_in(value: Any) -> Any:
    """Return a setting as JSON's types."""
    if isinstance(value, tuple):
        return [_built_in(item) for item in value]
    return str(value) if isinstance(value, Path) else value


# What a preset sets differently from the defaults above.
TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "mini": {
        "encoder": "lite2",
    },
    "clip-gpt2": {
        "encoder": "openai/clip-vit-base-patch32",
        "decoder": "gpt2",
        "num_epochs": 10,
        "batch_size": 32,
        "learning_rate": 2e-4,
        "encoder_learning_rate": 1e-5,
        "decoder_learning_rate": 5e-5,
        "dropout": 0.1,
    },
}


# What an objective sets differently from the preset; "" is for every preset.
OBJECTIVE_DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "scst": {
        "": {
            "num_epochs": 9,
            "learning_rate": 3e-4,
            "encoder_learning_rate": 1e-5,
            "decoder_learning_rate": 3e-4,
            "weight_decay": 0.01,
            "warmup_steps": 50,
            "dropout": 0.1,
            "crop_area": 0.3,
            "ema_decay": 0.995,
        },
        # Large pretrained parts are moved less.
        "clip-gpt2": {
            "num_epochs": 5,
            "learning_rate": 5e-5,
            "encoder_learning_rate": 1e-6,
            "decoder_learning_rate": 1e-5,
        },
    },
}


def objective_defaults(objective: str, preset: str) -> dict[str, Any]:
    """Return what an objective sets differently from a preset."""
    changes = OBJECTIVE_DEFAULTS.get(objective, {})
    return {**changes.get("", {}), **changes.get(preset, {})}


def train_config(preset: str | None = None, **settings: Any) -> TrainConfig:
    """Return the settings of a preset and an objective, with those given instead.

    Args:
        preset: Key of `TRAIN_PRESETS`; None is the default preset.
        settings: Fields of `TrainConfig`.

    Raises:
        UsageError: There is no such preset, or a value is not accepted.
    """
    name = preset if preset is not None else TrainConfig.preset
    objective = settings.get("objective", TrainConfig.objective)
    known = {**TRAIN_PRESETS.get(name, {}), **objective_defaults(objective, name)}
    return TrainConfig(**{**known, "preset": name, **settings})
