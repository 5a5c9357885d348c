"""From a model's name to its folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from capgen.errors import CapgenError, ModelNotFoundError, NetworkError
from capgen.models import resolve
from capgen.models.folder import ModelFolder
from capgen.models.resolve import resolve_model
from capgen.paths import bundled_model_dir, models_dir, runs_dir


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(identifier: str, revision: str | None = None, **_: object) -> None:
        pytest.fail(f"the Hub was asked for {identifier}")

    monkeypatch.setattr(resolve, "fetch", asked)


@pytest.mark.parametrize("name", [None, "mini"])
def test_the_bundled_model(name: str | None, no_hub: None) -> None:
    folder = resolve_model(name)
    assert (folder.path, folder.name) == (bundled_model_dir(), "mini")


def test_a_folder(tmp_path: Path, no_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name in ("my/model", "./my/model", "my/model/", str(tmp_path / "my/model")):
        assert resolve_model(name).path.resolve() == tmp_path / "my" / "model"
        assert resolve_model(name).name == name


def test_a_folder_in_the_home(isolation: Path, no_hub: None) -> None:
    (isolation / "m").mkdir()
    assert resolve_model("~/m").path == isolation / "m"


def test_a_checkpoint_of_a_run(no_hub: None) -> None:
    checkpoint = runs_dir() / "first" / "best-eval"
    checkpoint.mkdir(parents=True)
    (checkpoint / "config.json").write_text("{}")
    assert resolve_model("first/best-eval").path == checkpoint
    with pytest.raises(ModelNotFoundError, match=r"run 'first' .* 'best-evl'") as caught:
        resolve_model("first/best-evl")
    assert caught.value.hint == "Did you mean 'best-eval'?"


def test_a_checkpoint_of_no_run_is_not_sought_on_the_hub(no_hub: None) -> None:
    with pytest.raises(ModelNotFoundError, match="no run 'first'") as caught:
        resolve_model("first/best-eval")
    assert "capgen train" in caught.value.hint
    (runs_dir() / "first" / "best-eval").mkdir(parents=True)
    with pytest.raises(ModelNotFoundError, match="no run 'frist'") as caught:
        resolve_model("frist/best-eval")
    assert caught.value.hint == "Did you mean 'first'?"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mni", "Did you mean 'mini'?"),
        ("blip-bsae", "Did you mean 'blip-base'?"),
        ("my-wrds", "Did you mean 'my-words'?"),
        ("zzz", "Known: mini, mini:int8, my-words, and those of `capgen models list --known`"),
    ],
)
def test_a_bare_name_that_the_hub_does_not_know_either(
    name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(identifier: str, revision: str | None = None, **_: object) -> None:
        raise NetworkError("Cannot reach the Hub", hint="Go online once.")

    monkeypatch.setattr(resolve, "fetch", unreachable)
    (models_dir() / "my-words").mkdir(parents=True)
    (models_dir() / ".half").mkdir()
    with pytest.raises(NetworkError, match=f"No model '{name}' on this machine") as caught:
        resolve_model(name)
    assert caught.value.hint == hint
    with pytest.raises(NetworkError):
        resolve_model(f"somebody/{name}")


@pytest.mark.parametrize(
    "name",
    [
        *("./nothing", "../nothing", "/nothing", "~/nothing", "~nobody-of-that-name/x", "."),
        *("", " ", "a b", "a/b/c", "a//b", "/", "é/x", "x\0y", "a\nb", "@", "@main"),
        *("n" * 5000, "n" * 300 + "/x", "../..", "C:\\models", "models\\mine"),
    ],
    ids=lambda name: repr(name[:20]),
)
def test_names_of_nothing_are_refused_without_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name in (".", "/", "../.."):  # folders: read, and found to be no models
        with pytest.raises(CapgenError):
            _ = resolve_model(name).config
        return
    begin = time.monotonic()
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_model(name)
    assert time.monotonic() - begin < 5
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["user/name", "user/name@main", "name", "us-er/na.me_2"])
def test_a_hub_that_cannot_be_reached_is_said_soon(name: str) -> None:
    begin = time.monotonic()
    with pytest.raises(NetworkError) as caught:
        resolve_model(name)
    assert time.monotonic() - begin < 10
    assert name.partition("@")[0] in caught.value.message
    assert caught.value.hint


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """What the Hub is asked for: identifiers and revisions."""
    wanted: list[tuple[str, str | None]] = []

    def fetch(identifier: str, revision: str | None = None, **_: object) -> ModelFolder:
        wanted.append((identifier, revision))
        return ModelFolder(Path("cached"), identifier, revision=revision or "main")

    monkeypatch.setattr(resolve, "fetch", fetch)
    return wanted


BLIP = "Salesforce/blip-image-captioning-base"


def test_a_short_name_stands_for_a_model_of_the_hub(
    asked: list[tuple[str, str | None]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "capgen"):
        assert resolve_model("blip-base").name == BLIP
    assert f"'blip-base' is short for {BLIP}" in caplog.text
    resolve_model("blip-base@v1")
    resolve_model("blip-base", revision="v2")
    resolve_model(BLIP)
    assert asked == [(BLIP, None), (BLIP, "v1"), (BLIP, "v2"), (BLIP, None)]


@pytest.mark.parametrize("place", [models_dir, runs_dir, Path])
def test_what_is_on_this_machine_comes_before_a_short_name(
    place: Callable[[], Path], tmp_path: Path, no_hub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = place() / "blip-base"
    folder.mkdir(parents=True)
    found = resolve_model("blip-base")
    assert (found.path, found.name, found.revision) == (folder, "blip-base", "")
    assert resolve.is_local("blip-base") and not resolve.is_local("blip-large")


def test_a_short_name_is_no_run_with_checkpoints(asked: list[tuple[str, str | None]]) -> None:
    with pytest.raises(ModelNotFoundError, match="no run 'blip-base'"):
        resolve_model("blip-base/last")
    assert not asked


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("git-base", "microsoft/git-base-coco"),
        ("git-base@refs/pr/1", "microsoft/git-base-coco@refs/pr/1"),
        *((name, name) for name in ("mini", "", "@x", "me/git-base", BLIP, f"{BLIP}@v1", "git")),
    ],
)
def test_only_short_names_are_written_out(name: str, full: str) -> None:
    assert resolve.hub_name(name) == full


def test_an_address_is_not_a_folder() -> None:
    with pytest.raises(
        ModelNotFoundError, match=r"^http://there/v1#tiny is a model on a server"
    ) as e:
        resolve_model("http://me:secret@there/v1#tiny")
    assert "models test" in e.value.hint and "secret" not in str(e.value)
