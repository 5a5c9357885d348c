"""Which settings each command has.

A section of the user's settings file, or `CAPGEN_COMMAND_SETTING`, applies to one command. A key
above the sections, or `CAPGEN_SETTING`, applies to every command that has a setting of that
name, except those in `OWN`.
"""

from __future__ import annotations

from capgen.config.accepting import AcceptConfig
from capgen.config.alt_text import AltCheckOptions, AltFillOptions, SiteOptions
from capgen.config.decoding import DecodeOptions
from capgen.config.engines import EngineOptions
from capgen.config.evaluation import CalibrateConfig, EvalConfig
from capgen.config.inputs import (
    BatchOptions,
    CsvOptions,
    ImageLimits,
    InputOptions,
    PartOptions,
)
from capgen.config.models import ModelOptions
from capgen.config.review import ReviewOptions
from capgen.config.serving import ServeOptions
from capgen.config.tags import TagOptions
from capgen.config.training import TrainConfig

# Command → its settings classes, no two of which share a name. A subcommand is written as its
# section of the settings file, with a dot.
COMMANDS: dict[str, tuple[type, ...]] = {
    "caption": (
        *(ModelOptions, DecodeOptions, BatchOptions, ImageLimits, InputOptions, CsvOptions),
        *(TagOptions, PartOptions, EngineOptions),
    ),
    "apply": (ImageLimits, CsvOptions, TagOptions),
    "convert": (ImageLimits, CsvOptions, TagOptions),
    "merge": (CsvOptions, TagOptions),
    "eval": (ModelOptions, DecodeOptions, EvalConfig),
    "train": (TrainConfig,),
    "calibrate": (ModelOptions, DecodeOptions, CalibrateConfig),
    "demo": (ReviewOptions,),
    "review": (ModelOptions, ReviewOptions, InputOptions, ImageLimits),
    "accept": (AcceptConfig,),
    "alt.scan": (SiteOptions,),
    "alt.fill": (
        *(ModelOptions, DecodeOptions, BatchOptions, ImageLimits, AltFillOptions, ReviewOptions),
    ),
    "alt.check": (SiteOptions, AltCheckOptions),
    "serve": (
        *(ModelOptions, DecodeOptions, BatchOptions, ImageLimits, InputOptions, ServeOptions),
    ),
    "models.compare": (ModelOptions, DecodeOptions, EvalConfig),
    "models.test": (ModelOptions,),
}

# Training's batch size changes what is learned; other commands' only changes their speed. A value
# for all commands must not set it.
OWN = {"train": ("batch_size",)}
