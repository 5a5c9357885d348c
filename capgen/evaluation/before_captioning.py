"""Finds out before captioning, which may take hours, what would keep captions from being scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from capgen.config import EvalConfig
from capgen.errors import CapgenError, NetworkError
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.judged_language import judged_language
from capgen.metrics.bertscore import bert_model
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.programs import nothing_computed, sentence
from capgen.metrics.readable import unreadable
from capgen.metrics.score import check_frequencies
from capgen.metrics.tokenizers import choose


def check_scoring(
    data: EvaluationSet,
    config: EvalConfig,
    document_frequencies: DocumentFrequencies | None,
    unavailable: Mapping[str, str],
) -> dict[str, str]:
    """Return the metrics whose models are of no use, each with the reason.

    Models are not loaded, but fetched where that is necessary.

    Args:
        data: The images and references.
        config: Metrics, their models, language and tokens.
        document_frequencies: Document frequencies for CIDEr-D, if there is a table.
        unavailable: Metrics that cannot be computed for other reasons.

    Raises:
        CapgenError: The captions cannot be tokenized or compared so, or no metric is left.
    """
    language, _ = judged_language(data, config)
    check_frequencies(document_frequencies, choose(config.tokenizer, language, data.texts))
    left, foreign = readable_metrics(data, config, unavailable)
    failures = {}
    for metric, check in _CHECKS.items():
        if metric in left:
            try:
                check(config, language)
            except CapgenError as error:
                failures[metric] = with_own_hint(error, metric)
    if not set(left) - failures.keys():
        raise nothing_computed({**unavailable, **foreign}, failures)
    return {metric: sentence(error) for metric, error in failures.items()}


def readable_metrics(
    data: EvaluationSet, config: EvalConfig, unavailable: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return the metrics that are left to compute, and those that cannot read the language.

    Args:
        data: The references.
        config: Metrics and language.
        unavailable: Metrics that cannot be computed for other reasons.
    """
    left = [name for name in config.metric_names if name not in unavailable]
    foreign = unreadable(left, judged_language(data, config)[0], data.texts)
    return [name for name in left if name not in foreign], foreign


def with_own_hint(error: CapgenError, metric: str) -> CapgenError:
    """Return the error of a metric's model; the Hub's own hint is for those who want to caption."""
    if isinstance(error, NetworkError):
        option = {"clipscore": "--clip-model", "bertscore": "--bert-model"}[metric]
        error.hint = f"Go online once, or name its folder by {option}."
    return error


def _check_clip(config: EvalConfig, language: str) -> None:
    from capgen.models.resolve import resolve_model

    folder = resolve_model(config.clip_model)
    from capgen.models.clip import check_clip

    check_clip(folder)


def _check_bert(config: EvalConfig, language: str) -> None:
    from capgen.models.resolve import resolve_model

    model = bert_model(language, config.bert_model, config.bert_layer)
    folder = resolve_model(model.name)
    from capgen.models.token_encoder import check_token_encoder

    check_token_encoder(folder, model.layer)


_CHECKS: dict[str, Callable[[EvalConfig, str], None]] = {
    "clipscore": _check_clip,
    "bertscore": _check_bert,
}
