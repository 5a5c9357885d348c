"""The official scorers, for comparison."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

WORDNET = Path("/usr/share/wordnet")
HAVE_OFFICIAL = find_spec("pycocoevalcap") is not None
HAVE_JAVA = shutil.which("java") is not None
HAVE_WORDNET = (WORDNET / "data.noun").is_file()

# What the scorers take out of the tokenizer's output.
PUNCTUATION = "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;".split()  # noqa: SIM905
# A line that no rule looks into from the line before it.
NEUTRAL = "qq"

# The lexicographer files of WordNet, which Debian leaves out and NLTK wants to see.
_LEXNAMES = 45


def official_tokens(captions: Sequence[str]) -> list[str]:
    """Return the official tokens of captions, each followed by a neutral line.

    A tag with a quote may swallow the lines after it; such captions go one by one.
    """
    lines = _run([line for caption in captions for line in (caption, NEUTRAL)])
    if lines[1::2] == [NEUTRAL] * len(captions):
        return lines[: 2 * len(captions) : 2]
    if len(captions) == 1:
        return [f"lines out of step: {lines}"]
    half = len(captions) // 2
    return official_tokens(captions[:half]) + official_tokens(captions[half:])


def _run(captions: Sequence[str]) -> list[str]:
    import pycocoevalcap.tokenizer.ptbtokenizer as module

    folder = Path(module.__file__).parent
    with TemporaryDirectory() as temporary:
        file = Path(temporary) / "captions.txt"
        file.write_bytes("\n".join(captions).encode())
        command = ["java", "-Dfile.encoding=UTF-8", "-cp", module.STANFORD_CORENLP_3_4_1_JAR]
        command += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
        output = subprocess.run(
            [*command, str(file)],
            cwd=folder,
            check=True,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        ).stdout.decode()
    return [
        " ".join(word for word in line.rstrip().split(" ") if word not in PUNCTUATION)
        for line in output.split("\n")[: len(captions)]
    ]


def coco_tokens(captions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return captions through the official class, which reads them all as one text."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    wrapped = {
        image: [{"caption": caption} for caption in lines] for image, lines in captions.items()
    }
    tokens: dict[str, list[str]] = PTBTokenizer().tokenize(wrapped)
    return tokens


def official_scores(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """Return name → corpus score and image scores, by pycocoevalcap from end to end."""
    os.environ["LC_ALL"] = "C.UTF-8"
    theirs = coco_tokens({image: references[image] for image in predictions})
    ours = coco_tokens({image: [caption] for image, caption in predictions.items()})
    return scores_of_tokens(ours, theirs)


def scores_of_tokens(
    predictions: Mapping[str, list[str]], references: Mapping[str, list[str]]
) -> dict[str, dict[str, Any]]:
    """Return name → corpus score and image scores of tokenized captions."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    whole, images = Bleu(4).compute_score(references, predictions, verbose=0)
    found = {
        f"BLEU-{size + 1}": {"corpus": whole[size], "images": images[size]} for size in range(4)
    }
    for name, scorer in (("ROUGE-L", Rouge()), ("CIDEr-D", Cider())):
        total, single = scorer.compute_score(references, predictions)
        found[name] = {"corpus": float(total), "images": single.tolist()}
    return found


def official_meteor(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return corpus score and image scores by METEOR 1.5."""
    from pycocoevalcap.meteor.meteor import Meteor

    theirs = {image: official_tokens(references[image]) for image in predictions}
    ours = {image: official_tokens([caption]) for image, caption in predictions.items()}
    whole, images = Meteor().compute_score(theirs, ours)
    return {"corpus": whole, "images": images}


def nltk_wordnet(folder: Path) -> Any:
    """Return NLTK's own reader over Debian's WordNet, copied to where NLTK will read it."""
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    place = folder / "corpora" / "wordnet"
    place.mkdir(parents=True)
    for file in WORDNET.iterdir():
        if file.is_file():
            shutil.copy(file, place)
    (place / "index.sense").touch()
    (place / "lexnames").write_text("".join(f"{n:02d}\tpart{n}\t1\n" for n in range(_LEXNAMES)))
    nltk.data.path.insert(0, str(folder))
    return WordNetCorpusReader(nltk.data.find("corpora/wordnet"), None)


def nltk_meteor(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]], wordnet: Any
) -> dict[str, Any]:
    """Return corpus score and image scores by `nltk.translate.meteor_score`."""
    from nltk.translate.meteor_score import meteor_score

    flat = [caption for image in predictions for caption in references[image]]
    theirs = iter(official_tokens(flat))
    ours = official_tokens(list(predictions.values()))
    images = [
        meteor_score(
            [next(theirs).split() for _ in references[image]], line.split(), wordnet=wordnet
        )
        for image, line in zip(predictions, ours, strict=True)
    ]
    return {"corpus": float(np.mean(images)), "images": images}
