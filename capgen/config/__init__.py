"""Settings: the one place for every default, range and help text.

The classes are frozen and check themselves. The command line, the docs and the library read names,
ranges and help from the fields' metadata.
"""

from __future__ import annotations

from capgen.config.accepting import AcceptConfig
from capgen.config.alt_text import AltCheckOptions, AltFillOptions, SiteOptions
from capgen.config.applying import ApplyOptions
from capgen.config.commands import COMMANDS, OWN
from capgen.config.decode_settings import DecodeSettings
from capgen.config.decoding import DecodeOptions
from capgen.config.edits import EditOptions
from capgen.config.endpoint import (
    KEY_VARIABLE,
    EndpointOptions,
    resolve_served,
)
from capgen.config.engines import EngineOptions
from capgen.config.environment import setting_variables, variables
from capgen.config.evaluation import CalibrateConfig, EvalConfig
from capgen.config.fields import (
    BOOLEANS,
    check_ranges,
    described,
    flag_name,
    parse_setting,
    setting,
)
from capgen.config.inputs import (
    BatchOptions,
    CsvOptions,
    DownloadLimits,
    ImageLimits,
    InputOptions,
    PartOptions,
)
from capgen.config.metadata import MetadataOptions
from capgen.config.models import ModelOptions
from capgen.config.presets import (
    OBJECTIVE_DEFAULTS,
    TRAIN_PRESETS,
    objective_defaults,
    preset_settings,
)
from capgen.config.prompts import NAMED_PROMPTS, PromptOptions
from capgen.config.resolve_decoding import resolve_decoding
from capgen.config.review import ReviewOptions
from capgen.config.serving import SERVE_TOKEN_VARIABLE, ServeOptions
from capgen.config.tags import LEAST_CONCEPT_PROBABILITY, MOST_CONCEPTS, NO_TAGS, TagOptions
from capgen.config.training import TrainConfig, train_config
from capgen.config.training_groups import OBJECTIVES
from capgen.config.training_run_groups import EvalStrategy
from capgen.config.words import WordOptions

__all__ = [
    "BOOLEANS",
    "COMMANDS",
    "KEY_VARIABLE",
    "LEAST_CONCEPT_PROBABILITY",
    "MOST_CONCEPTS",
    "NAMED_PROMPTS",
    "NO_TAGS",
    "OBJECTIVES",
    "OBJECTIVE_DEFAULTS",
    "OWN",
    "SERVE_TOKEN_VARIABLE",
    "TRAIN_PRESETS",
    "AcceptConfig",
    "AltCheckOptions",
    "AltFillOptions",
    "ApplyOptions",
    "BatchOptions",
    "CalibrateConfig",
    "CsvOptions",
    "DecodeOptions",
    "DecodeSettings",
    "DownloadLimits",
    "EditOptions",
    "EndpointOptions",
    "EngineOptions",
    "EvalConfig",
    "EvalStrategy",
    "ImageLimits",
    "InputOptions",
    "MetadataOptions",
    "ModelOptions",
    "PartOptions",
    "PromptOptions",
    "ReviewOptions",
    "ServeOptions",
    "SiteOptions",
    "TagOptions",
    "TrainConfig",
    "WordOptions",
    "check_ranges",
    "described",
    "flag_name",
    "objective_defaults",
    "parse_setting",
    "preset_settings",
    "resolve_decoding",
    "resolve_served",
    "setting",
    "setting_variables",
    "train_config",
    "variables",
]
