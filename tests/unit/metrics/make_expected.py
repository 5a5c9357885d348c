"""Write `expected.json`: what the official programs make of the sentences in `captions`.

    python -m tests.unit.metrics.make_expected

Needs Java, pycocoevalcap, rouge-score, nltk and Debian's `wordnet-base`.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from rouge_score.rouge_scorer import RougeScorer

from tests.integration.metrics import oracles
from tests.unit.metrics.captions import EXPECTED_FILE, PREDICTIONS, REFERENCES, TRICKY


def main() -> None:
    with TemporaryDirectory() as folder:
        wordnet = oracles.nltk_wordnet(Path(folder))
        record = {
            "tokens": dict(zip(TRICKY, oracles.official_tokens(TRICKY), strict=True)),
            "scores": {
                name: oracles.official_scores(predictions, REFERENCES)
                | {
                    "ROUGE-L F1 (rouge-score)": google(predictions),
                    "METEOR": oracles.nltk_meteor(predictions, REFERENCES, wordnet),
                }
                for name, predictions in PREDICTIONS.items()
            },
            "meteor_1_5": oracles.official_meteor(PREDICTIONS["plausible"], REFERENCES),
        }
    EXPECTED_FILE.write_text(json.dumps(record, indent=1, ensure_ascii=True) + "\n")


def google(predictions: dict[str, str]) -> dict[str, object]:
    scorer = RougeScorer(["rougeL"])
    images = [
        scorer.score_multi(REFERENCES[image], caption)["rougeL"].fmeasure
        for image, caption in predictions.items()
    ]
    return {"corpus": sum(images) / len(images), "images": images}


if __name__ == "__main__":
    main()
