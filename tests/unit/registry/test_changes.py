"""Renaming and removing: what happens, and above all what must not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from capgen.errors import CapgenError, ModelNotFoundError, UsageError
from capgen.locks import Lock
from capgen.models.folder import RUN_LOCK_FILE
from capgen.paths import bundled_model_dir, models_dir, runs_dir
from capgen.registry.changes import remove, rename
from capgen.registry.default import default_model, save_default
from capgen.registry.listing import list_models
from tests.unit.registry.folders import write_model, write_run


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.fixture
def registry() -> None:
    write_run(runs_dir(), "run", "best-eval", "last")
    write_model(models_dir() / "kept")
    write_model(models_dir() / "user" / "pulled")


def test_a_run_and_a_kept_model_are_renamed(registry: None) -> None:
    assert rename("run", "flickr8k-clip") == runs_dir() / "flickr8k-clip"
    assert rename("kept", "better") == models_dir() / "better"
    assert rename("user/pulled", "mine") == models_dir() / "mine"
    names = {entry.name for entry in list_models() if not entry.problem}
    assert {"flickr8k-clip/best-eval", "flickr8k-clip/last", "better", "mine"} <= names


def test_the_default_follows_a_rename_and_goes_with_a_removal(registry: None) -> None:
    save_default("run/best-eval")
    rename("run", "other")
    assert default_model().name == "other/best-eval"
    remove("other/last")
    assert default_model().name == "other/best-eval"
    remove("other")
    assert default_model().name == "mini"


def test_removal_takes_the_folder_and_nothing_else(registry: None) -> None:
    remove("run/last")
    assert (runs_dir() / "run" / "best-eval").is_dir()
    remove("kept")
    remove("user/pulled")
    remove("run")
    assert not any(file.is_file() for file in everything(runs_dir()) | everything(models_dir()))


def test_a_run_stays_while_a_process_trains_it(registry: None) -> None:
    lock = Lock(runs_dir() / "run" / RUN_LOCK_FILE)
    assert lock.take()
    before = everything(runs_dir())
    for change in (
        partial(remove, "run"),
        partial(remove, "run/last"),
        partial(rename, "run", "x"),
    ):
        with pytest.raises(UsageError, match="run is in training"):
            change()
    assert everything(runs_dir()) == before
    lock.release()
    remove("run")  # the file that a killed process left does not keep it


@pytest.mark.parametrize("new", ["kept", "run", "user", "mini"])
def test_never_onto_an_existing_name(registry: None, new: str) -> None:
    before = everything(runs_dir()), everything(models_dir())
    for old in {"run", "kept"} - {new}:
        with pytest.raises(UsageError):
            rename(old, new)
    assert (everything(runs_dir()), everything(models_dir())) == before


HOSTILE = [
    *("..", ".", "", "/", "../x", "../../outside", "a/../../b", "run/..", "run/../kept"),
    *("/etc", "~", "~/x", ".hidden", "a\0b", "a\nb", "a b", "-rf", "a/b/c", "x" * 300, "é", "con."),
    *("run/", "/run", "run//last", "..\\x", "C:\\x"),
]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_hostile_names_change_nothing(registry: None, isolation: Path, name: str) -> None:
    (isolation / "outside").mkdir()
    before = everything(isolation)
    with pytest.raises(CapgenError):
        rename("run", name)
    with pytest.raises(CapgenError):
        rename(name, "fine")
    with pytest.raises(CapgenError):
        remove(name)
    assert everything(isolation) == before


def test_a_folder_outside_is_never_removed(registry: None, tmp_path: Path) -> None:
    outside = write_model(tmp_path / "outside")
    for name in (str(outside), f"{outside}/"):
        with pytest.raises(UsageError, match="not in the registry"):
            remove(name)
    assert (outside / "model.safetensors").is_file()


def test_a_link_out_of_the_registry_is_not_followed(registry: None, tmp_path: Path) -> None:
    outside = write_model(tmp_path / "outside")
    (models_dir() / "link").symlink_to(outside)
    write_run(tmp_path, "elsewhere", "last")
    (runs_dir() / "linked").symlink_to(tmp_path / "elsewhere")
    for name in ("link", "linked", "linked/last"):
        with pytest.raises(UsageError, match="is a link"):
            remove(name)
        with pytest.raises(UsageError):
            rename(name, "new")
    assert (outside / "model.safetensors").is_file()
    assert (tmp_path / "elsewhere" / "last" / "model.safetensors").is_file()


def test_the_bundled_model_stays(registry: None) -> None:
    for change in (lambda: remove("mini"), lambda: rename("mini", "maxi")):
        with pytest.raises(UsageError, match="bundled"):
            change()
    assert (bundled_model_dir() / "model.safetensors").is_file()


def test_checkpoints_keep_their_names(registry: None) -> None:
    with pytest.raises(UsageError) as caught:
        rename("run/last", "new")
    assert "capgen models rename run new" in caught.value.hint


def test_the_hubs_cache_is_left_alone(
    registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "c" * 40
    folder = write_model(tmp_path / "models--user--captioner" / "snapshots" / commit)
    with pytest.raises(UsageError, match="Hub's cache"):
        remove(f"user/captioner@{commit}")
    assert folder.is_dir()


def test_what_is_not_there_is_said_with_a_guess(registry: None) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        remove("kep")
    assert caught.value.hint == "Did you mean 'kept'?"


def test_a_broken_model_can_be_removed(registry: None) -> None:
    (models_dir() / "half").mkdir()
    remove("half")
    assert not (models_dir() / "half").exists()
