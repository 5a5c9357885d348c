"""The best alignment of two sentences, by METEOR 1.5's beam search.

Matches that compete with no other are fixed. The rest is a search over the words of the
reference from left to right, which keeps the 40 best partial alignments: those that cover most
words; among them those of fewest chunks; among them those of least distance.

The program differs from its papers in three ways, and so do these functions:

- Covered words are whole numbers: a match of n words that counts .6 or .8 each covers
  ⌊.6 n⌋ or ⌊.8 n⌋. So stems and synonyms decide nothing, and a stem that is also a synonym (two
  competing matches) is left out where it would begin a chunk.
- The distance of a match burdens the alternatives to it that are tried later at the same word,
  and not the alignment that contains it.
- Where all this is equal, the alternative that was found first stays first.
"""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from capgen.metrics.meteor_1_5.matches import Match

BEAM = 40

# What a match of n words covers, by matcher.
_WEIGHTS = (1.0, 0.6, 0.8, 0.6)
# The order of states in one number: words covered (negative), chunks, distance.
_COVERED, _CHUNK = 1 << 64, 1 << 32


class Alignment(NamedTuple):
    """The aligned matches, in the order of the reference, and their number of chunks."""

    matches: list[Match]
    chunks: int


# A partial alignment: its rank; the end of its last match in the caption, or -1 after a word
# without one; the end of its last match in the reference; the words used of caption and
# reference, as bits; its matches, as a linked list.
_State = tuple[int, int, int, int, int, "tuple[object, Match] | None"]
_rank = itemgetter(0)


def align(options: list[list[Match]], caption_size: int) -> Alignment:
    """Return the best alignment, given the matches that begin at each word of the reference."""
    fixed = _fixed(options, caption_size)
    if sum(map(len, options)) == len(fixed):
        chosen = list(fixed.values())
    else:
        chosen = _search(options, fixed)
    chunks, end = 0, (-1, -1)
    for match in chosen:
        chunks += end != (match.start, match.caption_start)
        end = (match.start + match.size, match.caption_start + match.caption_size)
    return Alignment(chosen, chunks)


def _fixed(options: list[list[Match]], caption_size: int) -> dict[int, Match]:
    """Return the matches, by first word, whose words are in no other match."""
    covered, other = [0] * len(options), [0] * caption_size
    for matches in options:
        for start, size, place, length, _ in matches:
            if size == 1 == length:
                covered[start] += 1
                other[place] += 1
                continue
            for word in range(start, start + size):
                covered[word] += 1
            for word in range(place, place + length):
                other[word] += 1
    found = {}
    for word, matches in enumerate(options):
        if len(matches) == 1:
            start, size, place, length, _ = matches[0]
            if all(n == 1 for n in covered[start : start + size]) and all(
                n == 1 for n in other[place : place + length]
            ):
                found[word] = matches[0]
    return found


def _search(options: list[list[Match]], fixed: dict[int, Match]) -> list[Match]:
    used = reference_used = 0
    for start, size, place, length, _ in fixed.values():
        used |= _bits(place, length)
        reference_used |= _bits(start, size)
    states: list[_State] = [(0, -1, 0, used, reference_used, None)]
    hopes = _hopes(options, fixed)
    for word, matches in enumerate(options):
        if len(states) > 1:
            states.sort(key=_rank)
            del states[BEAM:]
            # What cannot cover as much as the best does already is behind in every later order,
            # too: leaving it out changes nothing.
            lost = (states[0][0] // _COVERED + 1) * _COVERED + hopes[word]
            while states[-1][0] >= lost:
                del states[-1]
        if word in fixed:
            states = _extended(states, fixed[word])
        elif matches:
            states = _branched(states, word, matches)
        else:
            states = _skipped(states, word)
    states.sort(key=_rank)
    # The last chunks end only now; those that are behind by it stay behind where they are equal.
    best = min(states[:BEAM], key=lambda state: state[0] + _CHUNK * (state[1] != -1))
    chosen, link = [], best[5]
    while link is not None:
        chosen.append(link[1])
        link = link[0]  # type: ignore[assignment]
    return chosen[::-1]


def _hopes(options: list[list[Match]], fixed: dict[int, Match]) -> list[int]:
    """Return the most that matches that are not fixed can cover from each word on."""
    hopes, hope = [], 0
    for word in range(len(options) - 1, -1, -1):
        if word not in fixed and options[word]:
            hope += max(
                _gain(size, length, matcher) for _, size, _, length, matcher in options[word]
            )
        hopes.append(hope)
    return hopes[::-1]


def _extended(states: list[_State], match: Match) -> list[_State]:
    """Return states with a fixed match."""
    start, size, place, length, matcher = match
    gain, end, after = _gain(size, length, matcher), place + length, start + size
    unbroken = (-1, place)
    return [
        (
            rank - gain if last in unbroken else rank - gain + _CHUNK,
            *(end, after, used, reference_used),
            (link, match),
        )
        for rank, last, _, used, reference_used, link in states
    ]


def _skipped(states: list[_State], word: int) -> list[_State]:
    """Return states after a word of the reference that nothing matches."""
    return [
        state
        if state[1] == -1 or word < state[2]
        else (state[0] + _CHUNK, -1, *state[2:])  # its chunk ends here
        for state in states
    ]


def _branched(states: list[_State], word: int, matches: list[Match]) -> list[_State]:
    """Return, for each state, those with each free match at a word, and the one without any."""
    options = [
        (
            match,
            match.caption_start,
            match.caption_start + match.caption_size,
            word + match.size,
            _bits(match.caption_start, match.caption_size),
            _bits(word, match.size),
            abs(word - match.caption_start),
            _gain(match.size, match.caption_size, match.matcher),
        )
        for match in matches
    ]
    found: list[_State] = []
    add = found.append
    for state in states:
        rank, last, after, used, reference_used, link = state
        if word < after:
            add(state)
            continue
        for match, place, end, follows, bits, reference_bits, distance, gain in options:
            if used & bits or reference_used & reference_bits:
                continue
            lower = rank - gain if last == -1 or last == place else rank - gain + _CHUNK
            add((lower, end, follows, used | bits, reference_used | reference_bits, (link, match)))
            rank += distance
        add((rank if last == -1 else rank + _CHUNK, -1, 0, used, reference_used, link))
    return found


def _gain(size: int, length: int, matcher: int) -> int:
    weight = _WEIGHTS[matcher]
    return _COVERED * (int(weight * size) + int(weight * length))


def _bits(start: int, size: int) -> int:
    return ((1 << size) - 1) << start
