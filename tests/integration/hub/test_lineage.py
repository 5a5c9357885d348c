"""The lineage in a model card, from `capgen train` to the pushed README.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from capgen.cli.main import main
from capgen.models.folder import ModelFolder
from capgen.models.resolve import resolve_model
from capgen.records import CheckpointSaved, StepEvent
from capgen.training.run import train as training_run
from tests.hub_stand_in import Hub
from tests.minis import write_flickr8k
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2, save_tiny_mini
from tests.training_runs import SENTENCES, eight_images, run_config

QUICK = ["--batch-size", "4", "--no-eval", "--no-test", "--device", "cpu", "--num-epochs", "1"]
CARD = "---\nlicense: cc-by-sa-4.0\n---\n\n# A captioner\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_flickr8k(tmp_path / "photos", eight_images())


@pytest.fixture
def installed(data: Path) -> None:
    """The data sets `tiere` and `animals`, in German and in English as their importers say."""
    for name, language in (("tiere", "de"), ("animals", "en")):
        assert main(["data", "import", str(data), "--name", name, "--language", language]) == 0


def pushed(hub: Hub, repository: str) -> dict[str, str]:
    """Return the text files of a pushed repository, by name."""
    written = hub.written[repository]
    files = written.commits[written.branches["main"]]
    return {
        name: (hub.store / digest).read_text(encoding="utf-8")
        for name, digest in files.items()
        if name.endswith((".md", ".json")) or name.startswith("LICENSE")
    }


def train(run: str, *arguments: str) -> None:
    assert main(["train", *QUICK, "--name", run, *arguments]) == 0


def test_a_run_from_the_bundled_captioner(hub: Hub, installed: None, tmp_path: Path) -> None:
    train("tuned", "--init", "mini", "--dataset", "tiere=0.5", "--train-encoder", "none")
    assert main(["hub", "push", "tuned/best-eval", "me/tuned"]) == 0
    files = pushed(hub, "me/tuned")
    card = ModelCard(files["README.md"])
    assert card.data.language == ["de"]
    assert card.data.base_model is None  # it is not on the Hub
    for words in (
        "Started from **mini**, the captioner bundled with capgen",
        "Its encoder started from **EfficientNet-Lite2**",
        "- **tiere.** weight 0.5: 4 training images per epoch",
        "one sentence (language: de)",
        "- **mini, which it started from.** other",
        "- **Data (flickr8k).** research use",
    ):
        assert words in files["README.md"]
    record = json.loads(files["capgen.json"])
    for text in (files["README.md"], json.dumps(record["lineage"])):
        assert "clip" not in text.lower() and str(tmp_path) not in text
    assert record["preset"] == "mini"
    assert not {"encoder", "decoder", "image_size"} & set(record["training"])
    assert (record["data"]["weight"], record["data"]["language"]) == (0.5, "de")
    assert [entry["name"] for entry in record["lineage"]] == ["mini", "EfficientNet-Lite2"]
    assert "Apache License" in files["LICENSE-EfficientNet"]


def test_a_chain_of_captioners_in_stages(hub: Hub, installed: None, tmp_path: Path, capsys) -> None:
    """From a repository, in stages, on two data sets, and on from that."""
    base = save_tiny_mini(tmp_path / "base", SENTENCES)
    (base / "README.md").write_text(CARD)
    (base / "LICENSE.md").write_text("Share alike.")
    hub.repositories = {"some/captioner": {"main": base}}
    stages = '[[stage]]\nname = "xe"\n[[stage]]\nname = "scst"\nobjective = "scst"\n'
    (tmp_path / "stages.toml").write_text(stages)
    sets = ["--dataset", "animals", "--dataset", "tiere=0.25"]
    train("first", "--config", str(tmp_path / "stages.toml"), "--init", "some/captioner", *sets)
    train("second", "--init", "first/best-eval", "--dataset", "animals")
    assert main(["hub", "push", "second/best-eval", "me/second"]) == 0
    files = pushed(hub, "me/second")
    lineage = json.loads(files["capgen.json"])["lineage"]
    assert [(entry["name"], entry["source"]) for entry in lineage] == [
        ("first/best-eval", "run"),
        ("1-xe/best-eval", "run"),
        ("some/captioner", "hub"),
    ]
    assert [entry.get("training", {}).get("objective") for entry in lineage] == [
        "scst",
        "cross-entropy",
        None,
    ]
    weights = [(part["name"], part["weight"]) for part in lineage[0]["data"]["sets"]]
    assert weights == [("animals", 1.0), ("tiere", 0.25)]
    card = ModelCard(files["README.md"])
    assert card.data.base_model == ["some/captioner"]
    assert card.data.language == ["en"]
    for words in (
        "trained on animals, tiere with weight 0.25 (scst)",
        "- **some/captioner, which it started from.** cc-by-sa-4.0",
    ):
        assert words in files["README.md"]
    assert files["LICENSE.md"] == "Share alike."
    capsys.readouterr()
    assert main(["models", "show", "second/best-eval"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "first/best-eval, which started from 1-xe/best-eval, which started from" in shown


def test_new_captioners_name_their_parts(hub: Hub, data: Path, tmp_path: Path) -> None:
    where = ["--data-dir", str(data)]
    small = ["--encoder", "lite0", "--image-size", "64", "--decoder-width", "64"]
    train("small", "--preset", "mini", *small, "--min-count", "1", *where)
    found = resolve_model("small/best-eval").provenance
    (encoder,) = found.lineage
    assert (encoder["name"], encoder["pretrained_on"]) == ("EfficientNet-Lite0", "ImageNet")
    assert found.training["encoder"] == "lite0"
    assert main(["hub", "push", "small/best-eval", "me/small"]) == 0
    files = pushed(hub, "me/small")
    assert "**EfficientNet-Lite0**" in files["README.md"]
    assert "LICENSE-EfficientNet" in files
    assert ModelCard(files["README.md"]).data.language is None  # nobody said it

    clip, gpt2 = save_tiny_clip(tmp_path / "clip"), save_tiny_gpt2(tmp_path / "gpt2", SENTENCES)
    (clip / "README.md").write_text(CARD)
    (clip / "LICENSE").write_text("Of CLIP.")
    hub.repositories = {"some/clip": {"main": clip}, "some/gpt2": {"main": gpt2}}
    train("joined", "--encoder", "some/clip", "--decoder", "some/gpt2", *where)
    assert main(["hub", "push", "joined/best-eval", "me/joined"]) == 0
    files = pushed(hub, "me/joined")
    assert ModelCard(files["README.md"]).data.base_model == ["some/clip", "some/gpt2"]
    assert "- **some/clip, which it started from.** cc-by-sa-4.0" in files["README.md"]
    assert files["LICENSE-encoder"] == "Of CLIP."
    parts = json.loads(files["capgen.json"])["lineage"]
    assert [len(part["revision"]) for part in parts] == [40, 40]


def test_a_run_that_goes_on_keeps_what_it_began_with(data: Path, tmp_path: Path) -> None:
    """Also where that was replaced in the meantime."""
    base = save_tiny_mini(tmp_path / "base", SENTENCES)
    config = run_config(tmp_path, data, base, data_dir=Path(f"{data}=0.5"), num_epochs=3)
    events = training_run.train(config)
    saved = False
    for event in events:
        saved = saved or isinstance(event, CheckpointSaved)
        if saved and isinstance(event, StepEvent):  # the first epoch's state is saved
            break
    assert any((tmp_path / "run" / "state").iterdir())
    before = record_of(tmp_path / "run" / "last")
    shutil.rmtree(base)
    save_tiny_mini(base, SENTENCES, seed=1)
    del events
    list(training_run.resume(tmp_path / "run"))
    after = record_of(tmp_path / "run" / "last")
    assert after["training"]["epoch"] == 3 and before["training"]["epoch"] == 1
    assert after["lineage"] == before["lineage"]
    assert after["lineage"][0]["fingerprint"] != ModelFolder(base, "base").fingerprint
    assert after["data"] == before["data"]
    assert (after["data"]["weight"], after["data"]["drawn"]) == (0.5, 4)


def record_of(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "capgen.json").read_text(encoding="utf-8"))
    return record


@pytest.mark.parametrize("language", ["in German", "de_DE", "d", "de\n"])
def test_a_language_is_a_tag(language: str, data: Path, capsys) -> None:
    arguments = ["data", "import", str(data), "--name", "mine", "--language", language]
    assert main(arguments) == 2
    assert "--language" in capsys.readouterr().err
