"""Is the bundled model's confidence worth its name? Fits it, measures it, draws the figures.

    python -m tests.bench.confidence --data-dir DIR --fit --fit-too COCO

With --fit the model is calibrated anew first, on val splits only (of --data-dir, and of those
that --fit-too adds): for its own decoding settings, for greedy decoding and for 5 beams. Then
the test images and 200 other images (`tests.bench.out_of_domain`) are captioned;
figures go to docs/images, numbers to stdout. `--model` takes another model than the bundled one.
"""

from __future__ import annotations

import argparse
import collections
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen import Captioner
from capgen.captioning.confidence.calibration_file import place_in_folder
from capgen.captioning.confidence.observe import Observation, observe
from capgen.captioning.prepare import Prepared
from capgen.config import CalibrateConfig, DecodeOptions
from capgen.evaluation.calibration.calibrate import Calibrated, calibrate, store
from capgen.evaluation.calibration.confidence_fit import confidence
from capgen.evaluation.calibration.reliability import (
    auroc,
    calibration_error,
    error_by_chance,
    lift,
    reliability,
    risk_coverage,
)
from capgen.evaluation.evaluation_set import EvaluationSet, evaluation_set, evaluation_sets
from capgen.images.folders import find_images
from capgen.metrics.score import score_captions
from tests.bench import confidence_charts as charts
from tests.bench import out_of_domain

IMAGES = Path(__file__).parents[2] / "docs" / "images"
FITTED = (DecodeOptions(), DecodeOptions(beams=1), DecodeOptions(beams=5))
PARITY = 48

Reals = NDArray[np.float64]


def fit(model: str | None, data_dirs: list[Path]) -> None:
    captioner = Captioner.from_pretrained(model)
    data = evaluation_sets(None, data_dirs, split="val")
    for options in FITTED:
        *_, found = calibrate(captioner, data, options=options, config=CalibrateConfig())
        assert isinstance(found, Calibrated)
        path = store(captioner, found.fit)
        figures = {name: round(value, 4) for name, value in found.quality.items()}
        print(f"fitted {options.beams or 'default'} beams: {figures}", flush=True)
    print(f"stored in {path}")


def fitted(captioner: Captioner) -> list[DecodeOptions]:
    """Those of `FITTED` that the model is calibrated for."""
    calibration, problem = place_in_folder(captioner.folder).read()
    assert calibration is not None, problem
    return [one for one in FITTED if calibration.fit_for(captioner.settings(one)[0]) is not None]


def measured(
    captioner: Captioner, options: DecodeOptions, images: list[Path]
) -> list[tuple[str, float]]:
    """Caption and confidence of each image."""
    settings, _ = captioner.settings(options)
    calibration, problem = place_in_folder(captioner.folder).read()
    assert calibration is not None, problem
    chosen = calibration.fit_for(settings)
    assert chosen is not None, "not calibrated for these settings: run with --fit"
    seen = observe(captioner, images, settings)
    return [(s.text, confidence(chosen, s)) for s in seen if isinstance(s, Observation)]


def judge(data: EvaluationSet, found: list[tuple[str, float]], threshold: float) -> dict[str, Any]:
    """Scores of the captions, and what their confidences are worth."""
    names = [example.image_id for example in data.examples]
    captions = {name: text for name, (text, _) in zip(names, found, strict=True)}
    references = {example.image_id: example.references for example in data.examples}
    report = score_captions(captions, references, metrics=("cider_d", "meteor"))
    chances = np.array([sure for _, sure in found])
    good = (report.per_image["METEOR"] >= threshold).astype(float)
    cider = np.asarray(report.per_image["CIDEr-D"], np.float64)
    return {"chances": chances, "good": good, "cider": cider}


def bootstrap(judged: dict[str, Any], samples: int = 1000) -> dict[str, Reals]:
    random = np.random.default_rng(0)
    count = len(judged["good"])
    rows = [random.integers(0, count, count) for _ in range(samples)]
    errors = [calibration_error(judged["chances"][r], judged["good"][r]) for r in rows]
    gains = [lift(judged["chances"][r], judged["cider"][r]) for r in rows]
    return {"ECE": np.quantile(errors, [0.025, 0.975]), "lift": np.quantile(gains, [0.025, 0.975])}


def report(judged: dict[str, Any], strange: dict[str, list[float]], draw: bool) -> None:
    chances, good, cider = judged["chances"], judged["good"], judged["cider"]
    others = np.array([value for values in strange.values() for value in values])
    error, area = calibration_error(chances, good), auroc(chances, others)
    spans, means = bootstrap(judged), risk_coverage(chances, cider)
    print(f"images {len(good)}, good {good.mean():.3f}, mean confidence {chances.mean():.3f}")
    print(
        f"ECE {error:.4f}, resampled {spans['ECE'].round(3)}; "
        f"of exact probabilities {error_by_chance(chances):.4f} on average"
    )
    print(f"AUROC good / not good {auroc(chances[good == 1], chances[good == 0]):.3f}")
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        count = round(share * len(means))
        print(f"  most confident {share:.0%}: CIDEr-D {means[count - 1]:.3f}")
    print(f"lift of the half {lift(chances, cider):+.1%}, interval {spans['lift'].round(3)}")
    print(
        f"photographs / others: AUROC {area:.4f}, medians {np.median(chances):.3f} / ",
        end="",
    )
    print(f"{np.median(others):.4f}")
    for kind, values in strange.items():
        ranked = auroc(chances, np.array(values))
        print(
            f"  {kind:<11}{len(values):4}  median {np.median(values):.3f}  highest "
            f"{max(values):.3f}  AUROC {ranked:.3f}"
        )
    if draw:
        points = reliability(chances, good)
        _write("confidence-reliability.svg", charts.reliability_diagram(points, error))
        _write("confidence-coverage.svg", charts.coverage_curve(means, "CIDEr-D"))
        _write("confidence-no-photos.svg", charts.two_kinds(chances, others, area))


def _write(name: str, content: str) -> None:
    (IMAGES / name).write_text(content, encoding="utf-8")


def parity(model: str | None, images: list[Path]) -> None:
    onnx = Captioner.from_pretrained(model, runtime="onnx")
    torch = Captioner.from_pretrained(model, runtime="torch", device="cpu")
    for options in fitted(onnx):
        first = np.array([sure for _, sure in measured(onnx, options, images)])
        second = np.array([sure for _, sure in measured(torch, options, images)])
        difference = np.abs(first - second).max()
        print(
            f"onnx / torch, {options.beams or 'default'} beams: {len(images)} images, largest "
            f"difference of confidence {difference:.1e}"
        )


def speed(model: str | None, images: list[Path], rounds: int = 6) -> None:
    """Plain captioning and captioning with confidence in turns, on decoded images.

    In CPU time on one thread, which a busy machine changes least.
    """
    captioner = Captioner.from_pretrained(model, runtime="onnx", threads=1)
    prepared = [captioner.prepare(image) for image in images]
    ready = [item for item in prepared if isinstance(item, Prepared)]
    plain, _ = captioner.settings(DecodeOptions())
    sure, _ = captioner.settings(DecodeOptions(confidence=True))
    seconds: dict[str, list[float]] = collections.defaultdict(list)
    for _ in range(rounds):
        for name, settings in (("plain", plain), ("with confidence", sure)):
            started = time.process_time()
            for start in range(0, len(ready), 16):
                captioner.caption_prepared(ready[start : start + 16], settings)
            seconds[name].append(time.process_time() - started)
    for name, values in seconds.items():
        print(
            f"{name}: {1000 * min(values) / len(ready):.2f} ms of CPU time an image "
            f"(best of {rounds})"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--fit", action="store_true", help="calibrate first, on val")
    parser.add_argument("--fit-too", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--every", action="store_true", help="measure greedy and 5 beams too")
    asked = parser.parse_args()
    started = time.perf_counter()
    if asked.fit:
        fit(asked.model, [asked.data_dir, *asked.fit_too])
    data = evaluation_set(None, asked.data_dir, split="test")
    images = [example.image for example in data.examples]
    captioner = Captioner.from_pretrained(asked.model)
    with tempfile.TemporaryDirectory() as folder:
        out_of_domain.make(Path(folder))
        others = find_images(Path(folder))
        for options in fitted(captioner) if asked.every else FITTED[:1]:
            print(f"\n{options.beams or 'default'} beams")
            strange: dict[str, list[float]] = collections.defaultdict(list)
            for path, (_, sure) in zip(others, measured(captioner, options, others), strict=True):
                strange[path.stem.split("-")[0]].append(sure)
            judged = judge(data, measured(captioner, options, images), CalibrateConfig().good_from)
            report(judged, strange, draw=options == FITTED[0])
        print()
        parity(asked.model, [*images[:PARITY], *others[::12]])
    speed(asked.model, images[:96])
    print(f"{time.perf_counter() - started:.0f} s in all")


if __name__ == "__main__":
    main()
