"""What `--noun-reward` and `--nouns-once` need: a vocabulary of English words."""

from __future__ import annotations

from typing import Any

from capgen.captioning.decoding.noun_lexicon import noun_table
from capgen.captioning.runtimes.torch_processors import NounsOnce
from capgen.config import TrainConfig
from capgen.errors import UsageError


def nouns_once(tokenizer: Any) -> NounsOnce | None:
    """Return what finds repeated nouns among tokens; None if the vocabulary is not English."""
    table = noun_table(tokenizer.get_vocab())
    return None if table is None else NounsOnce(table)


def check_noun_settings(config: TrainConfig, tokenizer: Any) -> None:
    """Check that settings about nouns can do anything, before a run starts.

    Raises:
        UsageError: The vocabulary is not English.
    """
    flags = {"--noun-reward": config.noun_reward > 0, "--nouns-once": config.nouns_once}
    given = [flag for flag, on in flags.items() if on]
    if config.objective == "scst" and given and nouns_once(tokenizer) is None:
        raise UsageError(
            f"The captioner's vocabulary is not English: no nouns are known for {given[0]}",
            hint=f"Train without {' and '.join(given)}.",
        )
