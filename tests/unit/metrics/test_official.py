"""The official programs: what they answer, and every way in which they fail to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from capgen.config.evaluation import JavaLimits
from capgen.errors import CapgenError, MetricError
from capgen.metrics.bootstrap import compare, confidence_intervals
from capgen.metrics.corpus import Corpus
from capgen.metrics.evidence import Evidence
from capgen.metrics.official import check_present, spice
from capgen.metrics.score import check_metrics, score_captions
from tests.unit.metrics.java_programs import SCORES, install_java

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")

CAPTIONS = {"a": "X", "b": "yes."}, {"a": ["x, y", "z"], "b": ["x"]}
# Long enough for a shell on a busy machine to start.
LIMITS = JavaLimits(start=20, timeout=40)
SHORT = JavaLimits(start=2, timeout=2.5)


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(*CAPTIONS)


def test_spice(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = (
        '[{"image_id": 1, "scores": {"All": {"f": null}}}, '
        '{"image_id": 0, "scores": {"All": {"f": 0.5}}}]'
    )
    keep = (
        'for each in "$@"; do case $each in *captions.json) cp "$each" "$HERE/asked";; esac; done\n'
    )
    install_java(tmp_path, monkeypatch, keep + SCORES.format(scores=scores))
    whole, images = spice(corpus, LIMITS)
    assert np.isnan(whole)
    np.testing.assert_array_equal(images, [0.5, np.nan])
    assert (tmp_path / "asked").read_text() == (
        '[{"image_id": 0, "test": "x", "refs": ["x y", "z"]}, '
        '{"image_id": 1, "test": "yes", "refs": ["x"]}]'
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sleep 600", "has not (started|finished) after"),
        ("sleep 600 & echo $! > $HERE/child; wait", "has not (started|finished) after"),
        # One of them sleeps with a full pipe.
        ("head -c 1000000 /dev/zero >&2; sleep 600", "has not (started|finished) after"),
        ("exec >&- 2>&-; sleep 600", "has not finished after"),
        ("while :; do echo nonsense; done", "has not finished after"),
        ("cat /dev/zero", "has not finished after"),
        ("while :; do echo woe >&2; done", "has not (started|finished) after"),
        ("kill -9 $$", "was killed by signal 9"),
        (
            "echo 'Exception in thread \"main\" java.lang.OutOfMemoryError' >&2\n"
            "echo '  at Meteor.main' >&2; exit 3",
            "exit code 3: Exception in thread .*OutOfMemoryError",
        ),
        ("exit 0", "wrote no scores"),
    ],
)
def test_a_program_that_fails(
    body: str,
    message: str,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install_java(tmp_path, monkeypatch, body)
    begun = time.monotonic()
    with pytest.raises(MetricError, match=message) as caught:
        spice(corpus, SHORT if "after" in message else LIMITS)
    assert time.monotonic() - begun < 30
    assert "GB of memory (-Xmx" in caught.value.hint
    if (tmp_path / "child").exists():
        assert_gone(int((tmp_path / "child").read_text()))


def assert_gone(process: int) -> None:
    """Check that a process that was killed has ended; its parent may not have noticed yet."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (ProcessLookupError, FileNotFoundError):
            return
    raise AssertionError(f"process {process} is still there")


def test_a_program_that_says_much_before_it_is_done(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = (
        '[{"image_id": 0, "scores": {"All": {"f": 1}}}, '
        '{"image_id": 1, "scores": {"All": {"f": 0}}}]'
    )
    much = "head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero"
    install_java(tmp_path, monkeypatch, much + SCORES.format(scores=scores))
    assert spice(corpus, LIMITS)[0] == 0.5


def test_a_program_that_does_not_finish(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_java(tmp_path, monkeypatch, "echo Parsing reference captions >&2; sleep 600")
    with pytest.raises(MetricError, match=r"has not finished after 2\.5 s") as caught:
        spice(corpus, SHORT)
    assert "--java-timeout" in caught.value.hint


def test_a_java_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_java(tmp_path, monkeypatch, "", version="sleep 600")
    with pytest.raises(MetricError, match=r"has not started after 0\.5 s") as caught:
        check_present(JavaLimits(start=0.5))
    assert "--java-start" in caught.value.hint
    install_java(tmp_path, monkeypatch, "", version="echo no memory >&2; exit 1")
    with pytest.raises(MetricError, match="exit code 1: no memory"):
        check_present(LIMITS)
    install_java(tmp_path, monkeypatch, "", version="echo hello >&2")
    with pytest.raises(MetricError, match="does not tell its version"):
        check_present(LIMITS)


@pytest.mark.parametrize(
    ("version", "fine"), [("1.7.0_80", False), ("1.8.0_292", True), ("11.0.2", True), ("17", False)]
)
def test_the_versions_of_java_that_spice_runs_on(
    version: str, fine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_java(tmp_path, monkeypatch, "", version=f"echo 'java version \"{version}\"' >&2")
    if fine:
        assert check_present(LIMITS) == int(version.removeprefix("1.").partition(".")[0])
    else:
        with pytest.raises(MetricError, match="SPICE needs Java 8 to 14, and this is Java"):
            check_present(LIMITS)


def test_models_of_spice_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_java(tmp_path, monkeypatch, "")
    (tmp_path / "pycocoevalcap/spice/lib/stanford-corenlp-3.6.0-models.jar").unlink()
    with pytest.raises(MetricError, match=r"-models\.jar is missing in") as caught:
        check_present(LIMITS)
    assert "Spice()" in caught.value.hint


def test_the_other_metrics_are_unharmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_java(tmp_path, monkeypatch, "kill -9 $$")
    expected = score_captions(*CAPTIONS, metrics=["bleu"])
    report = score_captions(*CAPTIONS, metrics=["spice", "bleu"], evidence=Evidence(java=LIMITS))
    assert report.corpus == expected.corpus
    assert report.failed == ("spice",)
    assert "killed by signal 9" in report.left_out["spice"]
    assert any(note.startswith("spice is left out: ") for note in report.notes)
    assert list(report.stamp.definitions) == ["bleu"]
    with pytest.raises(MetricError, match="None of the metrics can be computed: SPICE parses"):
        score_captions(
            *CAPTIONS, metrics=["spice", "meteor"], language="de", evidence=Evidence(java=LIMITS)
        )


def test_what_a_program_says_does_not_steer_the_terminal(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_java(tmp_path, monkeypatch, r"printf 'no \033[31mred\n' >&2; exit 1")
    with pytest.raises(MetricError, match=r"exit code 1: no  \[31mred$"):
        spice(corpus, LIMITS)


def test_an_image_without_a_spice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = (
        '[{"image_id": 0, "scores": {"All": {"f": 0.5}}}, '
        '{"image_id": 1, "scores": {"All": {"f": null}}}]'
    )
    install_java(tmp_path, monkeypatch, SCORES.format(scores=scores))
    report, other = (
        score_captions(
            *CAPTIONS, metrics=["spice", "spider", "rouge_l"], evidence=Evidence(java=LIMITS)
        )
        for _ in range(2)
    )
    # No JSON has NaN, and no p-value comes of it.
    record = report.to_dict()
    assert (record["corpus"]["SPICE"], record["corpus"]["SPIDEr"]) == (None, None)
    assert [image["SPICE"] for image in record["images"]] == [0.5, None]
    assert set(confidence_intervals(report, seed=1)) == {"ROUGE-L"}
    assert set(compare(report, other, seed=1)) == {"ROUGE-L"}
    assert any(note.startswith("SPICE has no value for 1 of 2 images") for note in report.notes)


def test_programs_that_cannot_start_are_known_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_java(tmp_path, monkeypatch, "", version="exit 1")
    assert list(check_metrics(["spice", "bleu"], LIMITS)) == ["spice"]
    assert check_metrics(["bleu"], LIMITS) == {}
    with pytest.raises(CapgenError, match="SPICE ended with exit code 1"):
        check_metrics(["spice"], LIMITS)


def test_ctrl_c_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_java(
        tmp_path, monkeypatch, "sleep 600 & echo $! > $HERE/child; mv $HERE/child $HERE/begun; wait"
    )
    code = (
        "import sys, types, capgen.metrics.official as official\n"
        "from capgen.metrics.corpus import Corpus\n"
        f"places = [{str(tmp_path / 'pycocoevalcap')!r}]\n"
        "spec = types.SimpleNamespace(submodule_search_locations=places)\n"
        "official.find_spec = lambda name: spec\n"
        "official.spice(Corpus({'a': 'x'}, {'a': ['x']}))\n"
    )
    capgen_process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < end:
        assert capgen_process.poll() is None
    capgen_process.send_signal(signal.SIGINT)
    _, error = capgen_process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in error
    assert_gone(int((tmp_path / "begun").read_text()))


def test_ctrl_c_while_a_program_starts(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_java(tmp_path, monkeypatch, "sleep 600")
    started = []
    start = subprocess.Popen

    def interrupted(command: list[str], **options: object) -> object:
        process = start(command, **options)  # type: ignore[call-overload]
        if "-jar" in command:
            started.append(process)
            signal.raise_signal(signal.SIGINT)
        return process

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spice(corpus, LIMITS)
    assert started[0].returncode == -signal.SIGKILL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
