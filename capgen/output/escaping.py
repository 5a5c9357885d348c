"""Text from outside that must not act: on a terminal, on a line of text."""

from __future__ import annotations

import unicodedata

# Control characters (terminal escapes, line breaks, tabs), and Unicode's own line and paragraph
# separators. Joiners stay: emoji and Persian are written with them.
_ACTING = ("Cc", "Zl", "Zp")
# What turns the direction of the text that follows: a name could pretend to be another.
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def one_line(text: str) -> str:
    r"""Return text with everything that acts on a terminal or ends a line escaped, as in `\n`."""
    return "".join(
        letter.encode("unicode_escape").decode("ascii")
        if unicodedata.category(letter) in _ACTING or letter in _TURNING
        else letter
        for letter in text
    )
