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

from bisect import bisect_left
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from capgen.metrics.meteor_1_5.matches import Match
from capgen.metrics.meteor_1_5.ranks import Choices, choices_of

BEAM = 40

Options = Sequence[Sequence[Match]]
# The matches of a partial alignment as a linked list: those before; first word in the reference;
# match.
_Link = tuple["_Link | None", int, Match]
# A partial alignment: its rank; the used words of the caption, as bits; the end of its last match
# in the caption, or -1 after a word without one; the end of its last match in the reference; its
# matches.
_State = tuple[int, int, int, int, "_Link | None"]

_rank = itemgetter(0)


class Alignment(NamedTuple):
    """The aligned matches, each with its first word in the reference, and their chunks."""

    matches: list[tuple[int, Match]]
    chunks: int


def align(options: Options, caption_size: int) -> Alignment:
    """Return the best alignment, given the matches that begin at each word of the reference."""
    fixed, contested = _split(options, caption_size)
    chosen = list(fixed.items())
    if contested:
        chosen += _search(options, fixed, contested)
        chosen.sort()
    chunks = end = caption_end = 0
    for start, (size, place, length, _) in chosen:
        if start != end or place != caption_end or not chunks:
            chunks += 1
        end, caption_end = start + size, place + length
    return Alignment(chosen, chunks)


def _split(options: Options, caption_size: int) -> tuple[dict[int, Match], list[int]]:
    """Return the matches, by first word, whose words are in no other; and the other words."""
    covered, other = [0] * len(options), [0] * caption_size
    starts = []
    for start, matches in enumerate(options):
        if matches:
            starts.append(start)
            for size, place, length, _ in matches:
                if size == 1 == length:
                    covered[start] += 1
                    other[place] += 1
                    continue
                for word in range(start, start + size):
                    covered[word] += 1
                for word in range(place, place + length):
                    other[word] += 1
    fixed, contested = {}, []
    for start in starts:
        matches = options[start]
        size, place, length, _ = matches[0]
        if size == 1 == length:
            alone = covered[start] == 1 == other[place]
        else:
            counts = covered[start : start + size] + other[place : place + length]
            alone = max(counts) == 1
        if alone:
            fixed[start] = matches[0]
        else:
            contested.append(start)
    return fixed, contested


def _search(
    options: Options, fixed: dict[int, Match], contested: list[int]
) -> list[tuple[int, Match]]:
    """Return the best of the matches that begin at contested words.

    Between two contested words all states change alike, but for the first word after which no
    state is inside a match of several words: there, open chunks end or go on. So only that far
    are the words between looked at.
    """
    choices = choices_of(options, contested, BEAM)
    joints = {start + match[0]: match[1] + match[2] for start, match in fixed.items()}
    states: list[_State] = [(0, 0, joints.get(contested[0], -1), 0, None)]
    for number, word in enumerate(contested, start=1):
        keys = _branched(states, word, choices, number - 1)
        keys.sort()
        del keys[BEAM:]
        del keys[bisect_left(keys, choices.bound(keys[0], number)) :]
        states = _chosen(states, keys, word, choices, options[word])
        following = contested[number] if number < len(contested) else len(options)
        for between in range(word + 1, following):
            match = fixed.get(between)
            if match or not choices.has_runs or all(state[3] <= between for state in states):
                place, end = match[1] if match else -1, joints.get(following, -1)
                states = _converged(states, choices.chunk, place, end)
                break
            states = _ended(states, between, choices.chunk)
    # The last chunks end only now; those that are behind by it stay behind where they are equal.
    chunk = choices.chunk
    best = min(states, key=lambda state: state[0] if state[2] == -1 else state[0] + chunk)
    found, link = [], best[4]
    while link is not None:
        link, start, match = link
        found.append((start, match))
    return found


def _branched(states: list[_State], word: int, choices: Choices, number: int) -> list[int]:
    """Return the keys of the states that follow: with each free match at a word, and without."""
    step, skip, stay, chunk = choices.step, choices.skip, choices.stay, choices.chunk
    matches = choices.matches[number]
    keys: list[int] = []
    add = keys.append
    place_of_state = 0
    for rank, used, last, after, _ in states:
        key = rank + place_of_state
        place_of_state += step
        if word < after:
            add(key + stay)
        elif last == -1:
            for cost, bits, distance, _ in matches:
                if not used & bits:
                    add(key + cost)
                    key += distance
            add(key + skip)
        else:
            for cost, bits, distance, place in matches:
                if not used & bits:
                    add(key + cost if last == place else key + cost + chunk)
                    key += distance
            add(key + skip + chunk)
    return keys


def _chosen(
    states: list[_State], keys: list[int], word: int, choices: Choices, matches: Sequence[Match]
) -> list[_State]:
    """Return the states of keys."""
    step, skip, mask = choices.step, choices.skip, choices.mask
    found: list[_State] = []
    for key in keys:
        low = key & mask
        parent, choice = divmod(low, step)
        state = states[parent]
        if choice < skip:
            match = matches[choice]
            size, place, length, _ = match
            used = state[1] | ((1 << length) - 1) << place
            found.append((key - low, used, place + length, word + size, (state[4], word, match)))
        elif choice == skip:
            found.append((key - low, state[1], -1, 0, state[4]))
        else:
            found.append((key - low, *state[1:]))
    return found


def _converged(states: list[_State], chunk: int, place: int, end: int) -> list[_State]:
    """Return states, none inside a match, after the words between two contested ones.

    Args:
        states: The states.
        chunk: What a chunk adds to a rank.
        place: Where the fixed match of the first of these words begins in the caption, or -1.
        end: Where the fixed match of the last of them ends there, or -1.
    """
    found: list[_State] = [
        (rank if last == -1 or last == place else rank + chunk, used, end, 0, link)
        for rank, used, last, _, link in states
    ]
    if len(found) > 1:
        found.sort(key=_rank)
    return found


def _ended(states: list[_State], word: int, chunk: int) -> list[_State]:
    """Return states after a word without a match: chunks end, but for those inside a match."""
    found: list[_State] = [
        state
        if state[2] == -1 or word < state[3]
        else (state[0] + chunk, state[1], -1, 0, state[4])
        for state in states
    ]
    found.sort(key=_rank)
    return found
