"""`capgen config` and the order: option, environment, the user's file, default."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from capgen.cli.main import main
from capgen.paths import bundled_model_dir
from tests.fakes import draw_image
from tests.minis import write_flickr8k
from tests.tiny_models import save_tiny_mini
from tests.training_runs import SENTENCES, eight_images

COMMENTED = """# my settings
[caption]
beams = 5  # slower, better
"""


@pytest.fixture
def file(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    return home / "config.toml"


@pytest.fixture
def image(tmp_path: Path) -> str:
    draw_image(1, (64, 64)).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def test_the_path_is_printed(file, capsys):
    assert main(["config", "path"]) == 0
    assert capsys.readouterr().out.strip() == str(file)


def test_nothing_is_set_at_first(file, capsys):
    assert main(["config", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["config", "show"]) == 0
    assert "Nothing is set" in capsys.readouterr().err
    assert not file.exists()


def test_set_keeps_comments_and_unset_takes_back(file, capsys):
    file.write_text(COMMENTED)
    assert main(["config", "set", "caption.max-length", "20"]) == 0
    assert main(["config", "set", "model", "mini"]) == 0
    assert "note: model is mini for capgen caption" in capsys.readouterr().err
    text = file.read_text()
    assert "# my settings" in text and "# slower, better" in text
    assert main(["config", "show", "--json"]) == 0
    rows = {(row["command"], row["setting"]): row for row in json.loads(capsys.readouterr().out)}
    assert rows["caption", "max_length"]["value"] == 20
    assert rows["caption", "model"]["value"] == rows["eval", "model"]["value"] == "mini"
    assert ("eval", "max_length") not in rows
    assert main(["config", "unset", "caption.max-length"]) == 0
    assert main(["config", "unset", "model"]) == 0
    assert "note: model is no longer set" in capsys.readouterr().err
    assert file.read_text().split() == COMMENTED.split()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["set", "caption.beans", "5"], "no setting 'beans' of caption", "'beams'"),
        (["set", "captoin.beams", "5"], "no settings for 'captoin'", "'caption'"),
        (["set", "caption.beams", "many"], "must be a whole number", ""),
        (["set", "beams", "5000"], "must be between 1 and 64", ""),
        (["set", "train.learning_rate", "100"], "must be between", ""),
        (["unset", "caption.beams"], "is not set", ""),
    ],
)
def test_what_is_refused(file, capsys, arguments, message, hint):
    assert main(["config", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and hint in error
    assert not file.exists()


def test_a_setting_of_several_values(file, tmp_path, capsys):
    for name in ("a.png", "b.jpg"):
        draw_image(1, (64, 64)).save(tmp_path / name)
    assert main(["config", "set", "caption.include", "*.png"]) == 0
    assert main(["caption", str(tmp_path), "--json"]) == 0
    assert [Path(record["path"]).name for record in json.loads(capsys.readouterr().out)] == [
        "a.png"
    ]


def beams(capsys: pytest.CaptureFixture[str], *arguments: str) -> int:
    assert main(["caption", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)[0]["settings"]["beams"]


def test_option_then_environment_then_own_section_then_shared_key(file, image, capsys, monkeypatch):
    default = beams(capsys, image)
    file.write_text("beams = 4\n")
    assert beams(capsys, image) == 4 != default
    file.write_text("beams = 4\n[caption]\nbeams = 5\n[eval]\nbeams = 7\n")
    assert beams(capsys, image) == 5
    monkeypatch.setenv("CAPGEN_BEAMS", "2")
    assert beams(capsys, image) == 2
    assert main(["config", "show", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["command"], row["value"], row["source"]) for row in rows} == {
        ("caption", "2", "CAPGEN_BEAMS"),
        ("eval", "2", "CAPGEN_BEAMS"),
        ("calibrate", "2", "CAPGEN_BEAMS"),
        ("alt.fill", "2", "CAPGEN_BEAMS"),
        ("serve", "2", "CAPGEN_BEAMS"),
        ("models.compare", "2", "CAPGEN_BEAMS"),
    }
    assert beams(capsys, image, "--beams", "1") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("beams = \n", "Cannot read the settings"),
        ("[caption]\nbeams = 'many'\n", "must be a whole number"),
        ("[caption]\nbeams = 2.5\n", "must be a whole number"),
        ("[caption]\nbeams = 5000\n", "must be between"),
        ("[caption]\ncolour = 1\n", "no setting 'colour' of caption"),
        ("[speech]\nbeams = 1\n", "no settings for 'speech'"),
    ],
)
def test_a_wrong_file_is_named(file, image, capsys, content, message):
    file.write_text(content)
    assert main(["caption", image]) == 2
    error = capsys.readouterr().err
    assert message in error and str(file) in error
    assert main(["config", "path"]) == 0  # the way to find what to correct


def test_training_takes_the_file_after_its_own_config(file, tmp_path, capsys, monkeypatch):
    data = write_flickr8k(tmp_path / "data", eight_images())
    mini = save_tiny_mini(tmp_path / "mini", SENTENCES)
    file.write_text("[train]\nnum_epochs = 3\nlearning_rate = 0.002\nbatch_size = 4\n")
    (tmp_path / "run.toml").write_text("learning_rate = 0.003\n")
    monkeypatch.setenv("CAPGEN_SEED", "11")
    arguments = ["--init", str(mini), "--preset", "mini", "--data-dir", str(data)]
    arguments += ["--config", str(tmp_path / "run.toml")]
    assert main(["train", *arguments, "--batch-size", "2", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["settings"]
    found = {name: (plan[name]["value"], plan[name]["from"]) for name in plan}
    assert found["num_epochs"] == (3, str(file))
    assert found["learning_rate"] == (0.003, str(tmp_path / "run.toml"))
    assert found["batch_size"] == (2, "--batch-size")
    assert found["seed"] == (11, "CAPGEN_SEED")


def test_a_default_model_does_not_exclude_predictions(file, tmp_path, capsys):
    file.write_text('model = "mini"\n')
    (tmp_path / "p.json").write_text('{"a.jpg": "a dog runs"}')
    references = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "caption": "a dog runs"}],
    }
    (tmp_path / "r.json").write_text(json.dumps(references))
    files = ["--predictions", str(tmp_path / "p.json"), "--references", str(tmp_path / "r.json")]
    assert main(["eval", *files, "--metrics", "bleu"]) == 0
    assert main(["eval", *files, "--model", "mini"]) == 2
    assert "cannot be used together" in capsys.readouterr().err


def test_a_file_from_windows_is_read_and_changed(file, capsys):
    file.write_bytes(b"\xef\xbb\xbf" + COMMENTED.replace("\n", "\r\n").encode())
    assert main(["config", "set", "caption.max-length", "20"]) == 0
    assert main(["config", "show", "--json"]) == 0
    values = {row["setting"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert values == {"beams": 5, "max_length": 20}
    assert "# slower, better" in file.read_text()


def plan_of(capsys: pytest.CaptureFixture[str], data: Path, *arguments: str):
    """Return the settings of a dry run, and what it noted."""
    run = ["train", "--preset", "mini", "--data-dir", str(data), "--dry-run", "--json"]
    assert main([*run, *arguments]) == 0
    found = capsys.readouterr()
    return json.loads(found.out)["settings"], found.err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_flickr8k(tmp_path / "data", eight_images())


@pytest.fixture
def small(data: Path, tmp_path: Path) -> list[str]:
    return ["--init", str(save_tiny_mini(tmp_path / "mini", SENTENCES))]


@pytest.mark.parametrize("device", ["cuda:0", "cuda", "mps", "cpu", "auto"])
def test_a_device_may_be_a_default_of_all_commands(file, capsys, device):
    assert main(["config", "set", "device", device]) == 0
    assert (
        "for capgen caption, eval, train, calibrate, review, alt fill, serve, models compare "
        "and models test" in capsys.readouterr().err
    )
    assert main(["config", "show", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    commands = (
        *("caption", "eval", "train", "calibrate", "review", "alt.fill", "serve"),
        *("models.compare", "models.test"),
    )
    assert [(row["command"], row["value"]) for row in rows] == [(name, device) for name in commands]


def test_a_device_of_the_file_stops_no_other_command(file, image, data, capsys, small):
    file.write_text('device = "cuda:7"\n')
    assert main(["caption", image, "--device", "cpu"]) == 0
    assert main(["data", "info", str(data)]) == 0
    capsys.readouterr()
    plan, _ = plan_of(capsys, data, *small, "--device", "cpu")
    assert plan["device"]["from"] == "--device"


def test_a_device_that_is_not_there_is_a_usage_error_everywhere(image, data, capsys, small):
    for arguments in (
        ["caption", image, "--runtime", "torch"],
        ["train", "--preset", "mini", "--data-dir", str(data), *small, "--dry-run"],
    ):
        assert main([*arguments, "--device", "cuda:99"]) == 2
        assert "--device cuda:99: torch" in capsys.readouterr().err


def test_a_batch_size_for_captioning_is_not_trainings(file, data, image, capsys, small):
    file.write_text("batch_size = 3\nseed = 6\n")
    plan, notes = plan_of(capsys, data, *small)
    assert (plan["batch_size"]["value"], plan["batch_size"]["from"]) == (64, "default")
    assert (plan["seed"]["value"], plan["seed"]["from"]) == (6, str(file))
    told = "note: batch_size does not apply to capgen train: set it under [train] of config.toml"
    assert notes.count(told) == 1
    assert main(["config", "show", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    shown = {row["command"] for row in rows if row["setting"] == "batch_size"}
    assert shown == {"caption", "eval", "calibrate", "alt.fill", "serve", "models.compare"}
    # Who has said what training is to use is told nothing.
    _, notes = plan_of(capsys, data, *small, "--batch-size", "4")
    assert "batch_size" not in notes
    file.write_text("batch_size = 3\n[train]\nbatch_size = 5\n")
    plan, notes = plan_of(capsys, data, *small)
    assert plan["batch_size"]["value"] == 5 and "batch_size" not in notes
    assert main(["caption", image]) == 0
    assert "note" not in capsys.readouterr().err


def test_a_variable_for_captioning_is_not_trainings(data, capsys, monkeypatch, small):
    monkeypatch.setenv("CAPGEN_BATCH_SIZE", "3")
    plan, notes = plan_of(capsys, data, *small)
    assert plan["batch_size"]["from"] == "default"
    assert "CAPGEN_BATCH_SIZE does not apply to capgen train: set CAPGEN_TRAIN_BATCH_SIZE" in notes
    monkeypatch.setenv("CAPGEN_TRAIN_BATCH_SIZE", "5")
    plan, notes = plan_of(capsys, data, *small)
    assert plan["batch_size"] == {"value": 5, "from": "CAPGEN_TRAIN_BATCH_SIZE"}
    assert "CAPGEN_BATCH_SIZE" not in notes
    assert main(["config", "show", "--json"]) == 0
    rows = {row["command"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["train"]["source"] == "CAPGEN_TRAIN_BATCH_SIZE"
    assert rows["caption"]["source"] == rows["eval"]["source"] == "CAPGEN_BATCH_SIZE"


def test_a_commands_own_variable_decides_before_the_shared_one(image, capsys, monkeypatch):
    monkeypatch.setenv("CAPGEN_BEAMS", "2")
    monkeypatch.setenv("CAPGEN_CAPTION_BEAMS", "3")
    assert beams(capsys, image) == 3


def test_a_value_that_one_command_cannot_use_stops_no_other(file, image, data, capsys, small):
    file.write_text("seed = 4000000000\n")  # within sampling's range, not training's
    assert main(["caption", image]) == 0
    assert "note" not in capsys.readouterr().err
    plan, notes = plan_of(capsys, data, *small)
    assert plan["seed"]["from"] == "default"
    assert f"note: not used by capgen train: {file}: --seed is 4000000000" in notes
    file.write_text("batch_size = 0\n")  # nobody's, so an error of those it is for
    assert main(["caption", image]) == 2
    plan_of(capsys, data, *small)
    # Another command's own section is that command's affair.
    file.write_text("[train]\nbatch_size = 0\n")
    assert main(["caption", image]) == 0
    assert main(["train", "--data-dir", str(data), "--dry-run"]) == 2
    assert "--batch-size is 0" in capsys.readouterr().err


def test_set_for_one_command(file, capsys):
    assert main(["config", "set", "batch-size", "8", "--for", "caption"]) == 0
    assert file.read_text().split() == ["[caption]", "batch_size", "=", "8"]
    assert main(["config", "set", "caption.batch-size", "9", "--for", "caption"]) == 0
    assert main(["config", "unset", "batch-size", "--for", "caption"]) == 0
    capsys.readouterr()
    assert main(["config", "set", "caption.beams", "5", "--for", "eval"]) == 2
    assert "different commands" in capsys.readouterr().err
    assert main(["config", "set", "beams", "5", "--for", "speech"]) == 2
    assert "no settings for 'speech'" in capsys.readouterr().err


def test_set_says_who_cannot_use_a_value(file, capsys):
    assert main(["config", "set", "batch-size", "8"]) == 0
    notes = capsys.readouterr().err
    assert "for capgen caption, eval, calibrate, alt fill, serve and models compare" in notes
    assert "batch_size does not apply to capgen train" in notes
    assert main(["config", "set", "seed", "4000000000"]) == 0
    assert "not used by capgen train: capgen config: --seed is" in capsys.readouterr().err
    assert main(["config", "set", "device", "cuda:x"]) == 2
    assert "must be auto, cpu, cuda, cuda:N or mps" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["calibrate", "models.compare", "models.test"])
def test_option_then_environment_then_file_where_models_are_judged(
    file, image, data, capsys, monkeypatch, command
):
    """What does not exist is refused by its name, which shows where the setting came from."""
    also = {
        "calibrate": ["mini", "--data-dir", str(data)],
        "models.compare": ["mini", "mini@", "--data-dir", str(data), "--split", "val"],
        "models.test": ["mini", image],
    }[command]
    if command == "models.compare":
        copy = shutil.copytree(bundled_model_dir(), data.parent / "copy")
        also[1] = str(copy)

    def refused(*arguments: str) -> str:
        assert main([*command.split("."), *also, *arguments]) == 2
        return capsys.readouterr().err

    file.write_text('runtime = "torch"\ndevice = "cuda:90"\n')
    assert "--device cuda:90" in refused()
    file.write_text(f'runtime = "torch"\ndevice = "cuda:90"\n[{command}]\ndevice = "cuda:91"\n')
    assert "--device cuda:91" in refused()
    monkeypatch.setenv("CAPGEN_DEVICE", "cuda:92")
    assert "--device cuda:92" in refused()
    monkeypatch.setenv(f"CAPGEN_{command.upper().replace('.', '_')}_DEVICE", "cuda:93")
    assert "--device cuda:93" in refused()
    assert "--device cuda:94" in refused("--device", "cuda:94")


def test_a_default_model_is_the_one_that_is_calibrated(file, data, tmp_path, capsys, monkeypatch):
    file.write_text('[calibrate]\nmodel = "nowhere"\n')
    assert main(["calibrate", "--data-dir", str(data)]) == 1
    assert "nowhere" in capsys.readouterr().err
    monkeypatch.setenv("CAPGEN_MODEL", "elsewhere")
    assert main(["calibrate", "--data-dir", str(data)]) == 1
    assert "elsewhere" in capsys.readouterr().err


def test_a_subcommands_settings(file, image, capsys):
    assert main(["config", "set", "models.compare.beams", "5"]) == 0
    assert main(["config", "set", "device", "cpu", "--for", "models test"]) == 0
    assert tomllib.loads(file.read_text()) == {
        "models": {"compare": {"beams": 5}, "test": {"device": "cpu"}}
    }
    assert main(["config", "unset", "models.compare.beams"]) == 0
    assert main(["config", "unset", "models.compare.beams"]) == 2
    assert tomllib.loads(file.read_text())["models"] == {"compare": {}, "test": {"device": "cpu"}}
    capsys.readouterr()
    assert main(["config", "set", "models.beams", "5"]) == 2
    assert "no settings for 'models'" in capsys.readouterr().err


def test_a_mistake_in_a_subcommands_section_stops_no_other(file, image, capsys):
    file.write_text("[models.compare]\nbeams = 5000\n")
    assert main(["models", "list"]) == 0
    assert main(["caption", image]) == 0
    capsys.readouterr()
    assert main(["models", "compare", "mini", "mini"]) == 2
    assert "must be between 1 and 64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "key"),
    [("beans = 9\nbeams = 4\n", "beans"), ("beams = 4\n[captoin]\nbeams = 2\n", "captoin.beams")],
)
def test_a_mistyped_key_can_be_removed(file, content, key, capsys):
    file.write_text(content)
    assert main(["config", "unset", key]) == 0
    assert tomllib.loads(file.read_text())["beams"] == 4
    assert key.rpartition(".")[2] not in tomllib.loads(file.read_text()).get("captoin", {})
    assert main(["config", "unset", "beans"]) == 2
    assert "no setting" in capsys.readouterr().err


def test_values_nested_too_deeply_name_the_file(file, image, capsys):
    file.write_text("x = " + "[" * 50_000)
    for arguments in (
        ["caption", image],
        ["config", "show"],
        ["config", "set", "beams", "5"],
        ["config", "unset", "beams"],
    ):
        assert main(arguments) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"error: Cannot read the settings in {file}: its values are nested")
    assert file.read_text() == "x = " + "[" * 50_000


@pytest.mark.parametrize("depth", [20, 300, 600])
def test_a_file_at_the_limit_of_nesting_is_changed_or_refused(file, depth, capsys):
    """What tomllib can still read may be too deep for tomlkit."""
    text = f"[other]\nx = {'[' * depth}{']' * depth}\n"
    file.write_text(text)
    code = main(["config", "set", "caption.beams", "5"])
    assert code == 0 if depth == 20 else code == 2
    assert capsys.readouterr().err.startswith("note: " if code == 0 else "error: Cannot ")
    assert file.read_text().startswith(text)


def test_a_value_that_is_not_text_is_refused(file, capsys):
    file.write_text(COMMENTED)
    assert main(["config", "set", "model", "\udc80x"]) == 2
    assert "model cannot be '\\udc80x': it is not valid UTF-8" in capsys.readouterr().err
    assert file.read_text() == COMMENTED


class TestPrompts:
    """Prompts that the user gives a name."""

    def rows(self, capsys, *more) -> dict[str, dict[str, str]]:
        assert main(["config", "show", "--json", *more]) == 0
        rows = json.loads(capsys.readouterr().out)
        return {row["setting"]: row for row in rows if row["command"] == "prompts"}

    def test_set_shown_and_unset(self, file, capsys):
        file.write_text(COMMENTED)
        assert main(["config", "set", "prompts.post-card", "a postcard from {place}"]) == 0
        assert "--prompt post-card now stands for: a postcard" in capsys.readouterr().err
        assert main(["config", "set", "alt", "a photo of", "--for", "prompts"]) == 0
        capsys.readouterr()
        text = file.read_text()
        assert "# slower, better" in text
        expected = {"post-card": "a postcard from {place}", "alt": "a photo of"}
        assert tomllib.loads(text)["prompts"] == expected
        shown = self.rows(capsys)
        assert {name: row["value"] for name, row in shown.items()} == expected
        assert {row["source"] for row in shown.values()} == {str(file)}
        everything = self.rows(capsys, "--all")
        assert everything["tags"]["source"] == "default"
        assert everything["alt"]["value"] == "a photo of"
        assert main(["config", "unset", "prompts.post-card"]) == 0
        assert main(["config", "unset", "prompts.post-card"]) == 2
        assert "prompts.post-card is not set" in capsys.readouterr().err
        assert list(self.rows(capsys)) == ["alt"]

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("prompts.a", "in {plce}", "the prompt a has the placeholder {plce}"),
            ("prompts.a", " ", "it must be text"),
            ("prompts.a b", "x", "'a b' cannot be the name of a prompt"),
            ("prompt.a", "x", "no settings for 'prompt'"),
        ],
    )
    def test_what_is_refused(self, file, capsys, key, value, message):
        assert main(["config", "set", key, value]) == 2
        assert message in capsys.readouterr().err
        assert not file.exists()

    def test_a_wrong_prompt_stops_only_who_asks_for_it(self, file, image, capsys):
        file.write_text("[prompts]\nalt = 5\n[caption]\nbeams = 1\n")
        assert main(["caption", image]) == 0
        assert main(["caption", image, "--prompt", "a photo of"]) == 0
        assert main(["caption", image, "--prompt", "alt"]) == 2
        assert "the prompt alt is 5" in capsys.readouterr().err
