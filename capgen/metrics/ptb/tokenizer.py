"""PTB tokens of captions, as the official COCO scorers see them, without Java.

`tokenize` returns what pycocoevalcap's `PTBTokenizer` returns (Stanford CoreNLP 3.4.1 with
`-preserveLines -lowerCase`, without the scorers' list of punctuation), with two deliberate
differences:

- Captions are independent. The Java program reads all captions as one text and looks a few
  characters ahead into the next line, so the last token of "… plan b." depends on whether the
  next caption begins with "The ". Here an empty line follows every caption.
- Line separators inside a caption count as spaces. The Java program starts a new line at most
  of them, which shifts every later caption to the wrong image.
"""

from __future__ import annotations

import functools
import re
from array import array

from capgen.metrics.ptb.lexer import Automaton
from capgen.metrics.ptb.rules import MACROS, RULES, SETS

TOKENIZER = "PTB (Stanford CoreNLP 3.4.1, lower case, no punctuation)"
TOKENIZER_VERSION = "1"

# The scorers' list also has -LRB- and the like, but tokens are in lower case, so -lrb- is kept.
PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

_SEPARATORS = re.compile("[\n\v\f\r\x85\u2028\u2029]")
# No rule looks past a space that follows these characters.
_SELF_CONTAINED = re.compile(r"[A-Za-z!\"#$%&'()*,\-/:;=>?@\\\]^_`{|}~]*")
# The same for the last piece of a caption, which may end with full stops.
_SELF_CONTAINED_END = re.compile(rf"{_SELF_CONTAINED.pattern}\.*\n")
_MAX_CACHED = 200_000


class PTBTokenizer:
    """Tokenizes captions, and caches the tokens of pieces between spaces up to a limit."""

    def __init__(self) -> None:
        patterns = [f"({rule.pattern})({rule.ahead})" for rule in RULES]
        self._rules = Automaton(patterns, SETS, MACROS)
        # For each rule with `ahead`: the automata of its pattern and of `ahead`.
        self._halves = {
            number: tuple(Automaton([half], SETS, MACROS) for half in (rule.pattern, rule.ahead))
            for number, rule in enumerate(RULES)
            if rule.ahead
        }
        self._pieces: dict[str, str | None] = {}

    def tokenize(self, caption: str) -> str:
        """Return the tokens of a caption, in lower case, joined by single spaces.

        The result is empty for a caption without words. Tokens may contain non-breaking spaces
        (phone numbers, mixed fractions, tags), at which `str.split` splits them, as in the
        official scorers.
        """
        pieces = caption.split(" ")
        pieces[-1] += "\n"
        known = self._pieces
        parts = []
        for piece in pieces:
            tokens = known.get(piece)
            if tokens is None:
                tokens = self._piece_tokens(piece)
                if tokens is None:
                    return self._scan(caption)
            parts.append(tokens)
        return " ".join(filter(None, parts))

    def _piece_tokens(self, piece: str) -> str | None:
        """Return the tokens of a piece between spaces; None if they depend on its neighbours."""
        if not _SELF_CONTAINED.fullmatch(piece) and not _SELF_CONTAINED_END.fullmatch(piece):
            return None
        tokens = self._scan(piece.removesuffix("\n"))
        if len(self._pieces) < _MAX_CACHED:
            self._pieces[piece] = tokens
        return tokens

    def _scan(self, caption: str) -> str:
        text = _SEPARATORS.sub(" ", caption)
        wide = not text.isascii() and max(text) > "\uffff"
        if wide:
            # Characters in Java are UTF-16 code units.
            units = array("H", text.encode("utf-16-le", "surrogatepass"))
            text = "".join(map(chr, units))
        line = " ".join(self._tokens(text + "\n"))
        if wide:
            line = line.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        words = line.lower().rstrip().split(" ")
        return " ".join(word for word in words if word not in PUNCTUATION)

    def _tokens(self, text: str) -> list[str]:
        """Return the tokens of a text that ends with a line feed."""
        tokens = []
        start, stop = 0, len(text) - 1
        while start < stop:
            number, end = self._rules.longest(text, start)
            if number < 0:
                # A character without a rule, such as an emoji or a control character.
                start += 1
                continue
            rule = RULES[number]
            if rule.ahead:
                end = self._split(number, text, start, end)
            end -= rule.given_back
            token = rule.rewrite(text[start:end])
            if token is not None:
                tokens.append(token)
            start = end
        return tokens

    def _split(self, number: int, text: str, start: int, end: int) -> int:
        """Return the last possible end of the token in a match that includes `ahead`."""
        token, ahead = self._halves[number]
        for middle in reversed(token.ends(text, start, end)):
            if end in ahead.ends(text, middle, end):
                return middle
        raise AssertionError("a match of token and `ahead` can be split")


def reads_alone(word: str) -> bool:
    """Return whether a piece between spaces has the same tokens in every caption."""
    return bool(_SELF_CONTAINED.fullmatch(word))


@functools.cache
def shared_tokenizer() -> PTBTokenizer:
    """Return the tokenizer that the metrics share."""
    return PTBTokenizer()


def tokenize(caption: str) -> str:
    """Return the PTB tokens of a caption (see `PTBTokenizer.tokenize`)."""
    return shared_tokenizer().tokenize(caption)
