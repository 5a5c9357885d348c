"""Captioners worth using, with a short name for each: `--model blip-base`.

The facts are those that the models' authors publish: cards, file lists and tags on the Hub, read
in November 2026. capgen has measured none of them, and they may change there. What was not found
is None, or an empty tuple, and is shown as "–".
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

MULTILINGUAL = "multilingual"


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """A captioner, and what its card says.

    Attributes:
        name: The short name, for `--model`.
        identifier: Its repository on the Hub, in the layout that transformers itself loads;
            empty for the model that ships with capgen.
        model_type: Its kind, as in its `config.json`.
        parameters: Number of parameters, rounded as published or as the size of the weights says.
        download_bytes: Size of the files that capgen downloads.
        licence: As the Hub names it. Read it before you use the model.
        languages: Of the captions, as in BCP 47, or `multilingual`.
        purpose: What it is good for.
        gated: Whether its terms must be accepted on the Hub first.
        takes_prompt: Whether it follows an instruction. The others may be given the beginning of
            the caption.
    """

    name: str
    identifier: str
    model_type: str
    parameters: int | None = None
    download_bytes: int | None = None
    licence: str | None = None
    languages: tuple[str, ...] = ()
    purpose: str
    gated: bool = False
    takes_prompt: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as built-in types."""
        return {**dataclasses.asdict(self), "languages": list(self.languages)}


_MILLION, _BILLION = 10**6, 10**9
KNOWN_MODELS = (
    KnownModel(
        name="mini",
        identifier="",
        model_type="vision-encoder-decoder",
        parameters=11_853_678,
        download_bytes=0,
        licence="other",
        languages=("en",),
        purpose="Ships with capgen: one short sentence, offline and at once on any CPU.",
    ),
    KnownModel(
        name="vit-gpt2",
        identifier="nlpconnect/vit-gpt2-image-captioning",
        model_type="vision-encoder-decoder",
        parameters=239 * _MILLION,
        download_bytes=985 * _MILLION,
        licence="apache-2.0",
        languages=("en",),  # of COCO, which it was trained on
        purpose="One short sentence in the style of COCO; an old baseline.",
    ),
    KnownModel(
        name="git-base",
        identifier="microsoft/git-base-coco",
        model_type="git",
        parameters=177 * _MILLION,
        download_bytes=708 * _MILLION,
        licence="mit",
        languages=("en",),
        purpose="One short sentence in the style of COCO, from a small model.",
    ),
    KnownModel(
        name="git-large",
        identifier="microsoft/git-large-coco",
        model_type="git",
        parameters=394 * _MILLION,
        download_bytes=1_580 * _MILLION,
        licence="mit",
        languages=("en",),
        purpose="One short sentence in the style of COCO.",
    ),
    KnownModel(
        name="blip-base",
        identifier="Salesforce/blip-image-captioning-base",
        model_type="blip",
        parameters=247 * _MILLION,
        download_bytes=991 * _MILLION,
        licence="bsd-3-clause",
        languages=("en",),  # of COCO, which it was trained on
        purpose="One short sentence; can go on from a beginning such as 'a photo of'.",
    ),
    KnownModel(
        name="blip-large",
        identifier="Salesforce/blip-image-captioning-large",
        model_type="blip",
        parameters=470 * _MILLION,
        download_bytes=1_881 * _MILLION,
        licence="bsd-3-clause",
        languages=("en",),  # of COCO, which it was trained on
        purpose="One sentence, longer than that of blip-base.",
    ),
    KnownModel(
        name="blip2-opt-2.7b",
        identifier="Salesforce/blip2-opt-2.7b",
        model_type="blip-2",
        parameters=3_740 * _MILLION,
        download_bytes=14_980 * _MILLION,
        licence="mit",
        languages=("en",),
        purpose="One short sentence, or answers to 'Question: … Answer:'.",
        takes_prompt=True,
    ),
    # The sizes and the licence are those of Microsoft's own repositories of the same weights,
    # whose layout needs their code; these are transformers' own.
    KnownModel(
        name="florence-2-base",
        identifier="florence-community/Florence-2-base",
        model_type="florence2",
        parameters=230 * _MILLION,
        licence="mit",
        purpose="A sentence or a detailed description, by task word, from a small model.",
        takes_prompt=True,
    ),
    KnownModel(
        name="florence-2-large",
        identifier="florence-community/Florence-2-large",
        model_type="florence2",
        parameters=770 * _MILLION,
        licence="mit",
        purpose="A sentence or a detailed description, by task word.",
        takes_prompt=True,
    ),
    KnownModel(
        name="smolvlm-256m",
        identifier="HuggingFaceTB/SmolVLM-256M-Instruct",
        model_type="idefics3",
        parameters=256 * _MILLION,
        download_bytes=518 * _MILLION,
        licence="apache-2.0",
        languages=("en",),
        purpose="Follows instructions; the smallest of these that does.",
        takes_prompt=True,
    ),
    KnownModel(
        name="smolvlm-500m",
        identifier="HuggingFaceTB/SmolVLM-500M-Instruct",
        model_type="idefics3",
        parameters=500 * _MILLION,
        download_bytes=1_025 * _MILLION,
        licence="apache-2.0",
        languages=("en",),
        purpose="Follows instructions, on little memory.",
        takes_prompt=True,
    ),
    KnownModel(
        name="smolvlm2-2.2b",
        identifier="HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        model_type="smolvlm",
        parameters=2_250 * _MILLION,
        download_bytes=8_990 * _MILLION,
        licence="apache-2.0",
        languages=("en",),
        purpose="Follows instructions; descriptions and text in pictures.",
        takes_prompt=True,
    ),
    KnownModel(
        name="llava-onevision-0.5b",
        identifier="llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        model_type="llava_onevision",
        parameters=894 * _MILLION,
        licence="apache-2.0",
        languages=("en", "zh"),
        purpose="Follows instructions; English and Chinese.",
        takes_prompt=True,
    ),
    KnownModel(
        name="internvl3-1b",
        identifier="OpenGVLab/InternVL3-1B-hf",
        model_type="internvl",
        parameters=940 * _MILLION,
        download_bytes=1_900 * _MILLION,
        licence="qwen",
        languages=(MULTILINGUAL,),
        purpose="Follows instructions in several languages.",
        takes_prompt=True,
    ),
    KnownModel(
        name="qwen3-vl-2b",
        identifier="Qwen/Qwen3-VL-2B-Instruct",
        model_type="qwen3_vl",
        parameters=2_128 * _MILLION,
        download_bytes=4_270 * _MILLION,
        licence="apache-2.0",
        purpose="Follows instructions; detailed descriptions, text in pictures.",
        takes_prompt=True,
    ),
    KnownModel(
        name="qwen2.5-vl-3b",
        identifier="Qwen/Qwen2.5-VL-3B-Instruct",
        model_type="qwen2_5_vl",
        parameters=3_750 * _MILLION,
        download_bytes=7_520 * _MILLION,
        licence="qwen-research",
        languages=("en",),
        purpose="Follows instructions; text in pictures. Not for commercial use.",
        takes_prompt=True,
    ),
    KnownModel(
        name="paligemma2-3b",
        identifier="google/paligemma2-3b-mix-448",
        model_type="paligemma",
        parameters=3_033 * _MILLION,
        licence="gemma",
        languages=(MULTILINGUAL,),
        purpose="One sentence by task words ('caption en'), in several languages.",
        gated=True,
        takes_prompt=True,
    ),
    KnownModel(
        name="gemma-3-4b",
        identifier="google/gemma-3-4b-it",
        model_type="gemma3",
        parameters=4 * _BILLION,
        licence="gemma",
        languages=(MULTILINGUAL,),
        purpose="Follows instructions in over 140 languages.",
        gated=True,
        takes_prompt=True,
    ),
    # Its card names no licence; it is built on Llama 3.1 8B.
    KnownModel(
        name="joycaption",
        identifier="fancyfeast/llama-joycaption-beta-one-hf-llava",
        model_type="llava",
        parameters=8 * _BILLION,
        purpose="Long descriptions and tags, for training image generators; uncensored.",
        takes_prompt=True,
    ),
)


def known_model(name: str) -> KnownModel | None:
    """Return the captioner with that short name or Hub id, or None."""
    return next((m for m in KNOWN_MODELS if name and name in (m.name, m.identifier)), None)
