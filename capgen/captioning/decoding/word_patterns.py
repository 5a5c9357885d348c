"""Phrases as automata over characters: where a text has them as whole words.

A phrase is in a text if its characters follow each other there, in upper or lower case, with no
letter or digit before or after it. White space in a phrase stands for any white space, and may be
there or not beside a character that is not part of a word: some tokenizers put it around every
hyphen and apostrophe. Scripts without spaces between words have no whole words: a Chinese phrase
is in a text wherever its characters are.

The automata read symbols: a character, or part of one where a token ends within it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

# Classes of characters that are in no phrase.
SPACE, LETTER, OTHER = "space", "letter", "other"
# A character that is not known: it is made of parts that no phrase has.
UNKNOWN = "unknown"
# The second byte or a later one of such a character.
REST = "rest"
# A character that a phrase has, one of the classes above, or one byte (an int).
Symbol = str | int

# How Unicode's names of letters begin in scripts that put no space between words.
_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")

# What is allowed between two characters of a phrase.
_NOTHING, _SPACE_OR_NOTHING, _SPACE = range(3)


@lru_cache(maxsize=4096)
def joins(character: str) -> bool:
    """Whether a character makes one word with a letter beside it."""
    if character in (LETTER, SPACE, OTHER, UNKNOWN):
        return character == LETTER
    if character.isascii():
        return character.isalnum() or character == "_"
    if not (character.isalnum() or unicodedata.category(character).startswith("M")):
        return False
    return unicodedata.name(character, "").partition(" ")[0] not in _WITHOUT_SPACES


def class_of(character: str) -> str:
    """Return the class of a character that is in no phrase."""
    return SPACE if character.isspace() else LETTER if joins(character) else OTHER


@dataclass(frozen=True)
class Phrase:
    """A phrase to look for.

    Attributes:
        characters: Its characters without white space, casefolded.
        gaps: What may be before each of them.
        bit: Set in what is found where the phrase is found.
        sure: Whether it is found only where it certainly is; else also where it may be. They
            differ where a token ends within a character.
    """

    characters: str
    gaps: tuple[int, ...]
    bit: int
    sure: bool

    @classmethod
    def of(cls, text: str, bit: int, *, sure: bool) -> Phrase:
        """Return the phrase that a text spells."""
        characters, gaps, spaced = "", [], False
        for character in text.casefold().strip():
            if character.isspace():
                spaced = True
                continue
            inside = bool(characters) and joins(characters[-1]) and joins(character)
            gaps.append((_SPACE if spaced else _NOTHING) if inside else _SPACE_OR_NOTHING)
            characters, spaced = characters + character, False
        return cls(characters, tuple(gaps), bit, sure)


@dataclass(frozen=True)
class _Place:
    """How far a phrase has been read: `read` characters of it, and white space after them."""

    phrase: int
    read: int
    spaced: bool = False


@dataclass(frozen=True)
class State:
    """Where reading is.

    Attributes:
        places: Phrases that have begun. One read to its end waits for the end of the word.
        last: The class of the last character.
        pending: The first bytes of a character whose other bytes have not been read.
    """

    places: frozenset[_Place] = frozenset()
    last: str = OTHER
    pending: bytes = b""


class PhraseReader:
    """The automaton that finds phrases.

    Args:
        phrases: What to find.
    """

    def __init__(self, phrases: Sequence[Phrase]) -> None:
        self.phrases = [phrase for phrase in phrases if phrase.characters]
        self.characters = frozenset("".join(phrase.characters for phrase in self.phrases))

    @cached_property
    def _encoded(self) -> dict[bytes, str]:
        """The phrases' characters, in any case, by their bytes where these are several."""
        found = {}
        for character in self.characters:
            for form in {character, character.upper(), character.lower(), character.title()}:
                if len(form) == 1 and form.casefold() == character and not form.isascii():
                    found[form.encode()] = character
        return found

    @cached_property
    def _beginnings(self) -> frozenset[bytes]:
        return frozenset(code[:end] for code in self._encoded for end in range(1, len(code)))

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """Every symbol there is."""
        parts = {byte for code in self._encoded for byte in code}
        return (*sorted(self.characters), SPACE, LETTER, OTHER, UNKNOWN, REST, *sorted(parts))

    def symbols_of(self, text: str) -> list[Symbol]:
        """Return the symbols of whole characters."""
        folded = text.casefold()
        return [each if each in self.characters else class_of(each) for each in folded]

    def symbols_of_bytes(self, data: bytes) -> list[Symbol]:
        """Return the symbols of bytes, which may begin and end within a character."""
        found: list[Symbol] = []
        for part in _characters(data):
            if isinstance(part, str):
                found += self.symbols_of(part)
            elif part in self._parts:
                found.append(part)
            else:
                found.append(REST if 0x80 <= part < 0xC0 else UNKNOWN)
        return found

    @cached_property
    def _parts(self) -> frozenset[int]:
        return frozenset(byte for code in self._encoded for byte in code)

    def step(self, state: State, symbol: Symbol) -> tuple[State, int]:
        """Read a symbol; return the next state and the bits of the phrases it shows to be there."""
        if isinstance(symbol, int):
            return self._read_byte(state, symbol)
        if symbol == REST:
            return self._read_rest(state)
        found = 0
        if state.pending:
            state, found = self._read(State(state.places, state.last), UNKNOWN)
        state, more = self._read(state, symbol)
        return state, found | more

    def ended(self, state: State) -> int:
        """Return the bits of the phrases that are there if the text ends."""
        found = 0
        if state.pending:
            state, found = self._read(State(state.places, state.last), UNKNOWN)
        for place in state.places:
            if place.read == len(self.phrases[place.phrase].characters):
                found |= self.phrases[place.phrase].bit
        return found

    def find(self, text: str) -> int:
        """Return the bits of the phrases that a text has."""
        state, found = State(), 0
        for symbol in self.symbols_of(text):
            state, more = self.step(state, symbol)
            found |= more
        return found | self.ended(state)

    def _read_byte(self, state: State, byte: int) -> tuple[State, int]:
        pending = state.pending + bytes([byte])
        if pending in self._beginnings:
            return State(state.places, state.last, pending), 0
        if pending in self._encoded:
            return self._read(State(state.places, state.last), self._encoded[pending])
        if byte < 0xC0:
            return self._read_rest(state)
        if not state.pending:
            return self._read(state, UNKNOWN)
        plain, found = self._read(State(state.places, state.last), UNKNOWN)
        following, more = self._read_byte(plain, byte)
        return following, found | more

    def _read_rest(self, state: State) -> tuple[State, int]:
        """Read a second byte or a later one of a character that no phrase has."""
        if state.last == UNKNOWN and not state.pending:
            return state, 0  # its first byte has been read as all of it
        return self._read(State(state.places, state.last), UNKNOWN)

    def _read(self, state: State, symbol: str) -> tuple[State, int]:
        """Read one whole character."""
        places: set[_Place] = set()
        found = 0
        for place in state.places:
            phrase = self.phrases[place.phrase]
            if place.read == len(phrase.characters):
                over = not phrase.sure if symbol == UNKNOWN else not joins(symbol)
                found |= phrase.bit if over else 0
                continue
            gap = phrase.gaps[place.read]
            if symbol == SPACE:
                if gap != _NOTHING:
                    places.add(_Place(place.phrase, place.read, True))
            elif symbol == phrase.characters[place.read] and (gap != _SPACE or place.spaced):
                found |= self._advance(places, place)
        for number, phrase in enumerate(self.phrases):
            if symbol == phrase.characters[0] and self._may_begin(phrase, state.last):
                found |= self._advance(places, _Place(number, 0))
        last = UNKNOWN if symbol == UNKNOWN else LETTER if joins(symbol) else OTHER
        return State(frozenset(places), last), found

    def _advance(self, places: set[_Place], place: _Place) -> int:
        """Add the place after one more character, or return the bit of a phrase that is over."""
        phrase, read = self.phrases[place.phrase], place.read + 1
        if read == len(phrase.characters) and not joins(phrase.characters[-1]):
            return phrase.bit
        places.add(_Place(place.phrase, read))
        return 0

    @staticmethod
    def _may_begin(phrase: Phrase, last: str) -> bool:
        if not joins(phrase.characters[0]) or last == OTHER:
            return True
        return last == UNKNOWN and not phrase.sure


def _characters(data: bytes) -> Iterator[str | int]:
    """Yield the whole characters of bytes, and each byte that is in none."""
    place = 0
    while place < len(data):
        lead = data[place]
        size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        try:
            yield data[place : place + size].decode()
            place += size
        except UnicodeDecodeError:
            yield lead
            place += 1


def readers_of(avoided: Iterable[str], included: Iterable[Iterable[str]]) -> PhraseReader:
    """Return the reader of phrases: bit 0 is that of the avoided ones, bit 1 + n of included n."""
    phrases = [Phrase.of(text, 1, sure=False) for text in avoided]
    for number, any_of in enumerate(included):
        phrases += [Phrase.of(text, 2 << number, sure=True) for text in any_of]
    return PhraseReader(phrases)
