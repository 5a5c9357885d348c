"""How captions are made, as options: the same for every command that captions."""

from __future__ import annotations

from typing import Annotated, Any

from capgen.cli.options import DECODING_PANEL, setting_option
from capgen.config import DecodeOptions


def _decoding(name: str, *short: str, switch: bool = False) -> Any:
    return setting_option(DecodeOptions, name, *short, panel=DECODING_PANEL, switch=switch)


BeamsOption = Annotated[int | None, _decoding("beams", "-b")]
TemperatureOption = Annotated[float | None, _decoding("temperature", "-t")]
TopKOption = Annotated[int | None, _decoding("top_k")]
TopPOption = Annotated[float | None, _decoding("top_p")]
MaxLengthOption = Annotated[int | None, _decoding("max_length")]
MinLengthOption = Annotated[int | None, _decoding("min_length")]
LengthPenaltyOption = Annotated[float | None, _decoding("length_penalty")]
RepetitionPenaltyOption = Annotated[float | None, _decoding("repetition_penalty")]
NoRepeatOption = Annotated[int | None, _decoding("no_repeat_ngram_size")]
RepeatNounsOption = Annotated[bool, _decoding("repeat_nouns", switch=True)]
NumCaptionsOption = Annotated[int | None, _decoding("num_captions", "-n")]
SeedOption = Annotated[int | None, _decoding("seed")]
DiverseOption = Annotated[int | None, _decoding("diverse")]
MinConfidenceOption = Annotated[float | None, _decoding("min_confidence")]
