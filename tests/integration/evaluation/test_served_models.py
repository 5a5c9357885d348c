"""Evaluation, calibration and comparison of models on servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from capgen import Captioner, DecodeOptions, evaluate
from capgen.cli.main import main
from capgen.config import CalibrateConfig, EvalConfig, TrainConfig
from capgen.errors import ModelError, UsageError
from capgen.evaluation.calibration.calibrate import Calibrated, calibrate, store
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.records import Example
from capgen.registry.compare import ComparisonFinished, choose_models, comparison_events
from tests.chat_server import ChatServer, Handler, answer, chatting, says, sends
from tests.unit.evaluation.sets import make_set

QUICK = EvalConfig(resamples=100, metrics="bleu")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chatting() as state:
        yield state


def test_a_served_model_is_evaluated(server: ChatServer, tmp_path: Path) -> None:
    data = make_set(tmp_path)
    server.refuses = lambda content: sends(answer("a dog runs over the grass"))
    evaluation = evaluate(Captioner.from_endpoint(server.url), data, config=QUICK)
    assert set(evaluation.captions.values()) == {"a dog runs over the grass"}
    system = evaluation.to_dict()["system"]
    assert (system["model"], system["revision"]) == ("tiny", server.url)
    assert (system["runtime"], system["weights"]) == ("endpoint", {})


def test_a_refused_image_is_a_failure_of_the_evaluation(server: ChatServer, tmp_path: Path) -> None:
    data = make_set(tmp_path)
    server.script = [says(400, "unsafe")]
    server.refuses = lambda content: sends(answer("a dog runs over the grass"))
    captioner = Captioner.from_endpoint(server.url, concurrency=1)
    evaluation = evaluate(captioner, data, config=QUICK)
    assert len(evaluation.failures) == 1
    assert len(evaluation.captions) == len(data.examples) - 1


def test_the_command_evaluates_and_compares(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["file_name,caption"]
    for number in range(4):
        Image.new("RGB", (40, 30), (number, 2, 3)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,a picture of {number} 2 3")
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    command = ["eval", "--data-dir", str(tmp_path / "captions.csv"), "--endpoint", server.url]
    command += ["--resamples", "100", "--json", "-", "--metrics", "bleu", "--split", "train"]
    assert main([*command, "--compare", "mini"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert [each["system"]["name"] for each in (compared["first"], compared["second"])] == [
        "tiny",
        "mini",
    ]


def test_models_compare_takes_addresses(server: ChatServer, tmp_path: Path) -> None:
    data = make_set(tmp_path)
    server.refuses = lambda content: sends(answer("a dog runs over the grass"))
    address = f"{server.url.replace('//', '//me:secret@')}#tiny"
    *_, last = comparison_events(["mini", address], data, config=QUICK)
    assert isinstance(last, ComparisonFinished)
    comparison = last.comparison
    assert [entry.kind for entry in comparison.entries] == ["bundled", "server"]
    assert comparison.evaluations[1].name == "tiny"
    written = json.dumps(comparison.to_dict())
    assert "secret" not in written
    assert json.loads(written)["models"][1]["path"] is None
    with pytest.raises(UsageError, match="named twice") as caught:
        choose_models([address, address])
    assert "secret" not in str(caught.value)


def test_the_speed_of_an_address_with_a_password(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (40, 30), (1, 2, 3)).save(tmp_path / "1.png")
    (tmp_path / "test.csv").write_text("file_name,caption\n1.png,a picture of 1 2 3\n")
    address = f"{server.url.replace('//', '//me:secret@')}#tiny"
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    command = ["models", "compare", "mini", address, "--data-dir", str(tmp_path / "test.csv")]
    command += ["--resamples", "100", "--metrics", "bleu"]
    assert main([*command, "--html", str(page), "--json", str(figures)]) == 0
    served = json.loads(figures.read_text())["models"][1]
    assert served["speed"]["photos_per_second"] > 0
    written = capsys.readouterr()
    for text in (page.read_text(), figures.read_text(), written.out, written.err):
        assert "secret" not in text


def _doubtful(server: ChatServer, count: int, folder: Path) -> EvaluationSet:
    """A set of images, the captions of half of which are wrong, and improbable."""
    pool = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.new("RGB", (40, 30), (number, 2, 3)).save(path)
        pool.append(
            Example(
                image_id=str(number),
                image=path,
                references=("a dog runs over the grass", "a brown dog is running on grass"),
                split="val",
            )
        )

    def reply(handler: Handler) -> None:
        number = len(server.requests)
        good = number % 2
        text = "a dog runs over the grass" if good else "seven purple elephants"
        content = answer(text, tokens=True)
        for token in content["choices"][0]["logprobs"]["content"]:
            token["logprob"] = -0.1 - 0.01 * (number % 7) - 1.5 * (not good)
        handler.send_json(content)

    server.refuses = lambda content: reply
    return EvaluationSet(name="made", split="val", pool=tuple(pool))


def test_calibration_rests_on_log_probabilities(server: ChatServer, tmp_path: Path) -> None:
    data = _doubtful(server, 60, tmp_path)
    captioner = Captioner.from_endpoint(server.url, concurrency=1)
    config = CalibrateConfig(drawn=0, threshold=0.3)
    *_, last = calibrate(captioner, [data], config=config)
    assert isinstance(last, Calibrated)
    assert last.quality["auroc_good"] > 0.95
    path = store(captioner, last.fit)
    assert path.parent.name == "endpoints"
    again = Captioner.from_endpoint(server.url, concurrency=1)
    images = [example.image for example in data.examples[:2]]
    first, second = again.caption(images, confidence=True)
    assert first.confidence is not None
    assert second.confidence is not None
    good, bad = sorted((first, second), key=lambda caption: caption.text)
    assert (good.text, bad.text) == ("a dog runs over the grass", "seven purple elephants")
    assert (good.confidence or 0.0) > 0.8 > 0.2 > (bad.confidence or 0.0)
    # Another question is another model, as far as its confidence goes.
    other = Captioner.from_endpoint(server.url, prompt="tags")
    settings, notes = other.settings(DecodeOptions(confidence=True))
    assert settings.confidence
    assert "not calibrated" in notes[0]


def test_without_log_probabilities_there_is_no_calibration(
    server: ChatServer, tmp_path: Path
) -> None:
    data = _doubtful(server, 50, tmp_path)
    server.refuses = lambda content: sends(answer("a dog"))
    with pytest.raises(ModelError, match="no log-probabilities"):
        list(calibrate(Captioner.from_endpoint(server.url), [data]))


def test_captions_without_log_probabilities_have_no_confidence(
    server: ChatServer, tmp_path: Path
) -> None:
    data = _doubtful(server, 60, tmp_path)
    captioner = Captioner.from_endpoint(server.url, concurrency=1)
    *_, last = calibrate(captioner, [data], config=CalibrateConfig(drawn=0, threshold=0.3))
    assert isinstance(last, Calibrated)
    store(captioner, last.fit)
    server.refuses = lambda content: sends(answer("a dog"))
    caption = Captioner.from_endpoint(server.url).caption(data.examples[0].image, confidence=True)
    assert caption.confidence is None


def test_a_teachers_password_is_refused_as_runs_record_it() -> None:
    with pytest.raises(UsageError, match="password") as caught:
        TrainConfig(teacher="http://me:secret@127.0.0.1:1/v1#big", distill="sequence")
    assert "secret" not in str(caught.value)


def test_teachers_of_distributions_cannot_be_served() -> None:
    with pytest.raises(UsageError, match="on a server"):
        TrainConfig(teacher="http://127.0.0.1:1/v1#big", distill="token")
