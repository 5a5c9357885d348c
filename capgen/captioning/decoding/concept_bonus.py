"""Makes a search say the concepts that a model's concept head sees. Plain numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from capgen.models.concept_table import ConceptTable

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_Number = TypeVar("_Number", np.float32, np.bool_)
# In the place of a token where there is none. It ends lists of tokens, so that every place that a
# search in them returns is one of theirs.
NO_TOKEN = -1


class ConceptBonus:
    """What a search adds for tokens that say a concept, until the caption has said it.

    As with the penalties of repeated nouns, it counts only where hypotheses are ranked;
    log-probabilities and scores stay the model's. Of the concepts that share a token the one
    that gets most counts.

    Attributes:
        tokens: (U,) those that a search of some image treats differently, ascending.
        gaining: (B, A) for each image those of them that may get something, and `NO_TOKEN` where
            it has fewer.
        losing: How many may lose something.

    Args:
        amounts: (B, C) float32, for each image what each concept gets, in nats; below zero for
            those that captions should rather not say.
        tokens: For each concept the tokens that say it; any of them does.
        ended_by: For each concept the tokens after which it gets nothing any more; by default
            those that say it.
    """

    def __init__(
        self,
        amounts: Floats,
        tokens: Sequence[Sequence[int]],
        ended_by: Sequence[Sequence[int]] | None = None,
    ) -> None:
        ended_by = tokens if ended_by is None else ended_by
        changed = {
            token for n in np.flatnonzero(amounts.any(axis=0)).tolist() for token in tokens[n]
        }
        # Also concepts that get nothing, but share a token with one that does.
        concepts = [n for n, own in enumerate(tokens) if not changed.isdisjoint(own)]
        self.tokens: Ints = np.array(sorted(changed), np.int64)
        self._padded = np.append(self.tokens, NO_TOKEN)
        self._amounts = amounts[:, concepts]  # (B, K)
        place = {token: number for number, token in enumerate(self.tokens.tolist())}
        pairs = [
            (number, place[token])
            for number, concept in enumerate(concepts)
            for token in {*tokens[concept]}
            if token in place
        ]
        watched = {token for n in concepts for token in ended_by[n]}
        self._watched: Ints = np.array([*sorted(watched), NO_TOKEN], np.int64)
        ends = {token: number for number, token in enumerate(self._watched.tolist())}
        ending = [(n, token) for n, c in enumerate(concepts) for token in {*ended_by[c]}]
        self._ended_by = _Groups([(n, ends[token]) for n, token in ending])
        self._concepts: dict[int, list[int]] = {}
        for concept, number in pairs:
            self._concepts.setdefault(int(self.tokens[number]), []).append(concept)
        self._ending: dict[int, list[int]] = {}
        for concept, token in ending:
            self._ending.setdefault(token, []).append(concept)
        self._says = _Groups([(token, concept) for concept, token in pairs])
        most = self._says.maximum(self._amounts)
        self.gaining = _padded(most > 0, self.tokens)
        self.losing = int((most < 0).any(axis=0).sum())

    def __len__(self) -> int:
        """How many images it is for."""
        return len(self._amounts)

    def gains(self, history: Ints, images: Ints) -> Floats:
        """Return what continuing with each of `tokens` adds.

        Args:
            history: (N, T) tokens so far, which may include a start token.
            images: (N,) the image of each row.

        Returns:
            (N, U) float32, in nats.
        """
        used = np.zeros((len(history), len(self._watched)), bool)
        np.put_along_axis(used, _places(history, self._watched), True, axis=1)
        ended = self._ended_by.maximum(used)  # (N, K)
        return self._says.maximum(np.where(ended, np.float32(0), self._amounts[images]))

    def of(self, gains: Floats, ids: Ints) -> Floats:
        """Return the part of gains (N, U) that tokens (N, C) have."""
        padded = np.concatenate([gains, np.zeros((len(gains), 1), np.float32)], axis=1)
        return padded[np.arange(len(ids))[:, None], _places(ids, self._padded)]

    def added(self, scores: Floats, gains: Floats) -> Floats:
        """Return scores (N, V) with gains (N, U)."""
        scores = scores.copy()
        scores[:, self.tokens] += gains
        return scores

    def earned(self, ids: Ints, begin: int, image: int) -> Floats:
        """Return what each of an image's tokens (T,) from `begin` on has gained its caption."""
        earned = np.zeros(len(ids) - begin, np.float32)
        amounts, ended = self._amounts[image], set[int]()
        for place, token in enumerate(ids.tolist()):
            concepts = self._concepts.get(token)
            if concepts and place >= begin:
                earned[place - begin] = max(0.0 if n in ended else amounts[n] for n in concepts)
            ends = self._ending.get(token)
            if ends:
                ended.update(ends)
        return earned


def _padded(chosen: NDArray[np.bool_], tokens: Ints) -> Ints:
    """Return the chosen tokens (B, U) of each row, then `NO_TOKEN` up to the longest."""
    width = int(chosen.sum(axis=1).max(initial=0))
    order = np.argsort(~chosen, axis=1, kind="stable")[:, :width]
    return np.where(np.take_along_axis(chosen, order, axis=1), tokens[order], NO_TOKEN)


def _places(ids: Ints, tokens: Ints) -> Ints:
    """Return the place of each id in `tokens`, which end with `NO_TOKEN`: its place for others."""
    places = np.searchsorted(tokens[:-1], ids)
    return np.where(tokens[places] == ids, places, len(tokens) - 1)


class _Groups:
    """Groups of columns, numbered without gaps; each has at least one.

    Args:
        pairs: Number of a group and one of its columns.
    """

    def __init__(self, pairs: Sequence[tuple[int, int]]) -> None:
        ordered = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        self._columns = ordered[:, 1]
        self._starts = np.unique(ordered[:, 0], return_index=True)[1]

    def maximum(self, values: NDArray[_Number]) -> NDArray[_Number]:
        """Return the largest value of each group in each row: (N, groups)."""
        if not len(self._starts):
            return values[:, :0]
        found: NDArray[_Number] = np.maximum.reduceat(
            values[:, self._columns], self._starts, axis=1
        )
        return found


def concept_bonus(
    table: ConceptTable | None, logits: Floats | None, factor: float
) -> ConceptBonus | None:
    """Return the bonus for the images of a batch, or None if there is none.

    Args:
        table: The model's concepts; None without a concept head.
        logits: (B, C) of the concept head, or None.
        factor: The setting `concept_bonus`; 0 is off.
    """
    if table is None or logits is None or not factor:
        return None
    bonus = ConceptBonus(table.amounts(logits, factor), table.tokens, table.ended_by)
    return bonus if len(bonus.tokens) else None
