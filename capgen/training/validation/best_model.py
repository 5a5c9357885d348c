"""Which validation gives the best model: the strategies of `--eval-strategy`.

A new model is compared with the scores of the model that is now `best-eval`, and with the highest
METEOR of all validations so far: measured against the latter, a chain of small falls of METEOR
cannot lead down.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from capgen.config import EvalStrategy

Scores = Mapping[str, float]

METEOR, ROUGE, CIDER = "METEOR", "ROUGE-L", "CIDEr-D"
BLEU_1, BLEU_2, BLEU_4 = "BLEU-1", "BLEU-2", "BLEU-4"
COMPOSITE, LOSS = "composite", "loss"
COMPOSITE_WEIGHTS = {METEOR: 0.4, BLEU_4: 0.2, ROUGE: 0.2, BLEU_1: 0.1, BLEU_2: 0.1}


@dataclass(frozen=True)
class Strategy:
    """A rule for `best-eval`.

    Attributes:
        headline: The figure that stands for a model in messages: a score or `composite`.
        improves: (new scores, scores of the best model, highest METEOR so far) → better.
    """

    headline: str
    improves: Callable[[Scores, Scores, float], bool]

    def value(self, scores: Scores) -> float:
        """Return the headline figure of a model."""
        return composite(scores) if self.headline == COMPOSITE else scores[self.headline]


def composite(scores: Scores) -> float:
    """Return the weighted sum of METEOR, BLEU and ROUGE-L."""
    return sum(weight * scores[name] for name, weight in COMPOSITE_WEIGHTS.items())


def _meteor_centric(new: Scores, best: Scores, meteor: float) -> bool:
    if new[METEOR] > meteor:
        return True
    gains = _gains(new, best, BLEU_4, 0.01) or _gains(new, best, ROUGE, 0.02)
    return _falls_less(new[METEOR], meteor, 0.02) and gains


def _multi_criteria(new: Scores, best: Scores, meteor: float) -> bool:
    if new[METEOR] > meteor:
        return True
    others = [name for name in _common(new, best) if name != METEOR]
    gains = sum(_gains(new, best, name, 0.02) for name in others)
    return _falls_less(new[METEOR], meteor, 0.01) and gains >= 2


def _pareto(new: Scores, best: Scores, meteor: float) -> bool:
    names = _common(new, best)
    worse = any(new[name] < best[name] for name in names)
    return not worse and any(new[name] > best[name] for name in names)


def _weighted(new: Scores, best: Scores, meteor: float) -> bool:
    return composite(new) > composite(best)


def _higher(name: str) -> Strategy:
    return Strategy(name, lambda new, best, meteor: new[name] > best[name])


STRATEGIES: Mapping[str, Strategy] = {
    EvalStrategy.METEOR_CENTRIC: Strategy(METEOR, _meteor_centric),
    EvalStrategy.WEIGHTED_COMPOSITE: Strategy(COMPOSITE, _weighted),
    EvalStrategy.PARETO: Strategy(METEOR, _pareto),
    EvalStrategy.MULTI_CRITERIA: Strategy(METEOR, _multi_criteria),
    EvalStrategy.METEOR: _higher(METEOR),
    EvalStrategy.BLEU: _higher(BLEU_4),
    EvalStrategy.ROUGE: _higher(ROUGE),
    EvalStrategy.CIDER: _higher(CIDER),
}


@dataclass
class Selection:
    """The best validations of a run so far.

    Attributes:
        strategy: Key of `STRATEGIES`.
        best_loss: Lowest loss.
        loss_stale: Validations since then.
        best_scores: Scores of the model that is `best-eval`, or None.
        highest_meteor: The highest METEOR of any validation.
        scores_stale: Validations since `best_scores`.
        limit_passed: Whether a validation has passed a limit on language, which ends training.
    """

    strategy: str
    best_loss: float = math.inf
    loss_stale: int = 0
    best_scores: dict[str, float] | None = None
    highest_meteor: float = -math.inf
    scores_stale: int = 0
    limit_passed: bool = False

    def take_loss(self, loss: float) -> bool:
        """Take in the loss of a validation; return whether it is the lowest."""
        self.loss_stale += 1
        if loss < self.best_loss:
            self.best_loss, self.loss_stale = loss, 0
            return True
        return False

    def take_scores(self, scores: Scores) -> bool:
        """Take in the scores of a validation; return whether they are the best so far."""
        improves = STRATEGIES[self.strategy].improves
        better = self.best_scores is None or improves(scores, self.best_scores, self.highest_meteor)
        self.highest_meteor = max(self.highest_meteor, scores.get(METEOR, -math.inf))
        self.scores_stale += 1
        if better:
            self.best_scores, self.scores_stale = dict(scores), 0
        return better

    @property
    def best_eval(self) -> tuple[str, float] | None:
        """Name and value of the figure of `best-eval`, or None before the first scores."""
        if self.best_scores is None:
            return None
        strategy = STRATEGIES[self.strategy]
        return strategy.headline, strategy.value(self.best_scores)

    @property
    def stale(self) -> int:
        """Validations since the best one, by scores if there are any, otherwise by loss."""
        return self.loss_stale if self.best_scores is None else self.scores_stale

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON types; infinities are None."""
        return {
            name: None if isinstance(value, float) and math.isinf(value) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned."""
        return cls(**{name: value for name, value in record.items() if value is not None})


def _common(new: Scores, best: Scores) -> list[str]:
    return [name for name in new if name in best]


def _gains(new: Scores, best: Scores, name: str, share: float) -> bool:
    """Whether a score rose by more than a share of what it was."""
    bound = best[name] * (1 + share)
    return new[name] > bound and not math.isclose(new[name], bound, rel_tol=1e-9)


def _falls_less(value: float, highest: float, share: float) -> bool:
    """Whether a score fell by less than a share of the highest (or did not fall)."""
    bound = highest * (1 - share)
    return value > bound and not math.isclose(value, bound, rel_tol=1e-9)
