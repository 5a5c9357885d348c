"""Makes the constraints of words and lengths that settings ask for, for the tokens of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from capgen.captioning.decoding.length_limits import LengthLimits, TokenLengths
from capgen.captioning.decoding.phrases import Phrases
from capgen.captioning.decoding.token_bytes import TokenBytes
from capgen.captioning.decoding.word_automaton import WordAutomaton, word_automaton
from capgen.captioning.decoding.word_constraints import WordConstraints
from capgen.captioning.decoding.word_patterns import readers_of
from capgen.config import DecodeSettings
from capgen.config.words import avoided_words, included_words


class WordRules:
    """Makes the constraints of settings for one vocabulary; keeps the last ones made.

    Args:
        texts: Loads what tokens add to a text.
        end: End tokens.
        unusable: Tokens that are never generated.
    """

    def __init__(
        self,
        texts: Callable[[], TokenBytes],
        end: Sequence[int],
        unusable: Sequence[int] = (),
    ) -> None:
        self._texts = texts
        self._end = tuple(end)
        self._unusable = tuple(unusable)
        self._lengths: dict[tuple[int, bool], tuple[TokenLengths, Phrases]] = {}
        self._last: tuple[tuple[str | None, str | None, int], WordAutomaton] | None = None

    def limits(self, settings: DecodeSettings, width: int) -> LengthLimits | None:
        """Return the most words and characters that settings allow, or None. Thread-safe."""
        if not settings.asks_for_lengths:
            return None
        # Articles that do not fit are put right after a search that favours nouns.
        key = width, settings.concept_bonus > 0
        if key not in self._lengths:
            texts = self._texts().table
            lengths = TokenLengths.of(texts, width, articles=key[1])
            self._lengths[key] = lengths, Phrases.of(texts, width)
        lengths, phrases = self._lengths[key]
        return LengthLimits(lengths, settings.max_words, settings.max_characters, phrases)

    def constraints(
        self, settings: DecodeSettings, width: int, *, limited: bool = False
    ) -> WordConstraints | None:
        """Return the constraints that settings ask for, or None. Thread-safe.

        Args:
            settings: The words and the longest caption.
            width: Number of scores of the model, which may be more than there are tokens.
            limited: Whether captions must fit the limits of words and characters.
        """
        limits = self.limits(settings, width) if limited else None
        if not settings.asks_for_words and limits is None:
            return None
        asked = (settings.avoid_words, settings.include_words, width)
        last = self._last
        if last is None or last[0] != asked:
            last = self._last = asked, self._automaton(settings, width)
        return WordConstraints(last[1], self._end, settings.max_length, limits)

    def _automaton(self, settings: DecodeSettings, width: int) -> WordAutomaton:
        included = included_words(settings.include_words)
        reader = readers_of(avoided_words(settings.avoid_words), included)
        texts = self._texts()
        unusable = {*self._end, *self._unusable, *texts.special}
        return word_automaton(reader, texts.table, width, len(included), unusable)
