"""Pushing through the real client to a Hub on this machine."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import pytest
import typer
from huggingface_hub import constants

from capgen.cli.main import main
from capgen.errors import (
    CapgenError,
    ModelNotFoundError,
    NetworkError,
    UnsafeModelError,
    UsageError,
)
from capgen.hub.push import PushOptions, plan_push, push_model
from capgen.hub_client.session import Patience
from capgen.models.fetch import fetch
from capgen.models.folder import ModelFolder
from tests.hub_stand_in import Fault, Hub
from tests.integration.hub.pushing import TOKEN, check_stored

NAME = "me/tiny"


@pytest.fixture
def with_graphs(clip: ModelFolder, tmp_path: Path) -> ModelFolder:
    """A model with two more large files."""
    folder = tmp_path / "with-graphs"
    shutil.copytree(clip.path, folder)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "encoder.onnx").write_bytes(b"encoder" * 4000)
    (folder / "onnx" / "decoder.onnx").write_bytes(b"decoder" * 4000)
    return ModelFolder(folder, "tiny/best-eval")


def weights_sent(hub: Hub) -> list[str]:
    return sorted(path.removeprefix("/lfs/") for path, _ in hub.received)


def test_a_push_is_one_commit_and_comes_back_the_same(hub: Hub, with_graphs: ModelFolder) -> None:
    plan = plan_push(with_graphs, NAME, PushOptions(message="First"))
    pushed = push_model(plan, TOKEN)
    repository = hub.written[NAME]
    assert list(repository.messages.values()) == ["initial commit", "First"]
    assert repository.branches == {"main": pushed.commit}
    assert pushed.changed and not pushed.private
    large = [f.sha256 for f in plan.files if f.name.endswith((".safetensors", ".onnx"))]
    assert weights_sent(hub) == sorted(large)  # each once
    check_stored(hub, plan)


def test_what_has_not_changed_is_not_sent_again(hub: Hub, clip: ModelFolder) -> None:
    first = push_model(plan_push(clip, NAME), TOKEN)
    again = push_model(plan_push(clip, NAME), TOKEN)
    assert (again.commit, again.changed) == (first.commit, False)
    plan = plan_push(clip, NAME, PushOptions(licence="mit"))
    assert push_model(plan, TOKEN).changed
    assert len(hub.received) == 1
    check_stored(hub, plan)


def test_large_files_go_in_parts_where_the_hub_asks_for_it(hub: Hub, clip: ModelFolder) -> None:
    hub.part_size = 100_000
    plan = plan_push(clip, NAME)
    push_model(plan, TOKEN)
    size = next(file.size for file in plan.files if file.name == "model.safetensors")
    assert [count for _, count in hub.received] == [100_000] * (size // 100_000) + [size % 100_000]
    check_stored(hub, plan)


def test_a_private_repository(hub: Hub, clip: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_push(clip, NAME, PushOptions(private=True))
    assert push_model(plan, TOKEN).private
    assert hub.written[NAME].private
    check_stored(hub, plan)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ModelNotFoundError, match="private"):
        fetch(NAME, "main")


def test_a_public_repository_is_no_place_for_a_private_model(hub: Hub, clip: ModelFolder) -> None:
    push_model(plan_push(clip, NAME), TOKEN)
    head = dict(hub.written[NAME].branches)
    with pytest.raises(UsageError, match="is public"):
        push_model(plan_push(clip, NAME, PushOptions(private=True, message="x")), TOKEN)
    assert hub.written[NAME].branches == head


def test_a_revision_is_a_branch(hub: Hub, clip: ModelFolder) -> None:
    plan = plan_push(clip, NAME, PushOptions(revision="v2"))
    pushed = push_model(plan, TOKEN)
    branches = hub.written[NAME].branches
    assert branches["v2"] == pushed.commit != branches["main"]
    assert list(hub.written[NAME].commits[branches["main"]]) == [".gitattributes"]
    check_stored(hub, plan, "v2")
    assert push_model(plan_push(clip, NAME, PushOptions(revision="v2")), TOKEN).changed is False


@pytest.mark.parametrize("revision", ["a" * 40, "refs/pr/1", "-x", " "])
def test_what_no_branch_is_called(revision: str, clip: ModelFolder) -> None:
    with pytest.raises(UsageError, match="branch"):
        plan_push(clip, NAME, PushOptions(revision=revision))


@pytest.mark.parametrize("name", ["tiny", "a/b/c", "../x", "me/-x", "me/a--b", "me/a..b", "me/"])
def test_what_no_repository_is_called(name: str, clip: ModelFolder) -> None:
    with pytest.raises(UsageError, match="USER/NAME"):
        plan_push(clip, name)


def test_a_dry_run_asks_nobody(hub: Hub, clip: ModelFolder, capsys, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert main(["hub", "push", str(clip.path), NAME, "--dry-run", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    plan = plan_push(ModelFolder(clip.path, str(clip.path)), NAME)
    assert {f["name"]: f["sha256"] for f in printed["files"]} == {
        file.name: file.sha256 for file in plan.files
    }
    assert "model-index" in printed["card"]
    assert main(["hub", "push", str(clip.path), NAME, "--dry-run", "--private"]) == 0
    assert "model.safetensors" in capsys.readouterr().out
    assert hub.requests == []


def test_an_upload_that_breaks_off_is_tried_again(
    hub: Hub, clip: ModelFolder, quick: list[float]
) -> None:
    hub.faults = [Fault("PUT", "/lfs/", -1, after=5000)]
    plan = plan_push(clip, NAME)
    push_model(plan, TOKEN)
    assert quick == [1]
    check_stored(hub, plan)


def test_an_interrupted_push_goes_on_where_it_was(
    hub: Hub, with_graphs: ModelFolder, quick: list[float]
) -> None:
    plan = plan_push(with_graphs, NAME)
    digest = next(f.sha256 for f in plan.files if f.name == "onnx/encoder.onnx")
    hub.faults = [Fault("PUT", digest, -1, times=6, after=5000)]
    with pytest.raises(NetworkError, match=NAME) as caught:
        push_model(plan, TOKEN)
    assert "not sent again" in caught.value.hint
    assert list(hub.written[NAME].commits.values()) == [
        {".gitattributes": next(iter(hub.written[NAME].commits.values()))[".gitattributes"]}
    ]
    assert digest not in weights_sent(hub)
    sent = len(hub.received)
    again = plan_push(with_graphs, NAME)
    push_model(again, TOKEN)
    assert sent >= 1 and len(hub.received) == 3  # over both pushes each large file once
    assert sorted(set(weights_sent(hub))) == weights_sent(hub)
    check_stored(hub, again)


def test_a_failed_commit_costs_no_second_upload(hub: Hub, clip: ModelFolder) -> None:
    hub.faults = [Fault("POST", "/commit/", 500)]
    plan = plan_push(clip, NAME)
    with pytest.raises(NetworkError, match="500"):
        push_model(plan, TOKEN)
    assert len(hub.received) == 1
    again = plan_push(clip, NAME)
    push_model(again, TOKEN)
    assert len(hub.received) == 1
    check_stored(hub, again)


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/repos/create", 401, "token"),
        ("POST", "/preupload/", 401, "token"),
        ("POST", "/repos/create", 403, "does not allow this"),
        ("POST", "/preupload/", 403, "does not allow this"),
        ("PUT", "/lfs/", 403, "does not allow this"),
        ("POST", "/preupload/", 404, "me/tiny"),
        ("POST", "/commit/", 409, "conflict"),
        ("POST", "/commit/", 412, "changed in the meantime"),
        ("POST", "/commit/", 413, "too large"),
        ("POST", "objects/batch", 400, "me/tiny"),
        ("POST", "/commit/", 500, "500"),
        ("POST", "/commit/", 502, "502"),
        ("POST", "/lfs/.*/verify", 404, "me/tiny"),
    ],
)
def test_refusals(
    method: str, path: str, status: int, words: str, hub: Hub, clip: ModelFolder
) -> None:
    hub.faults = [Fault(method, path, status, times=99)]
    plan = plan_push(clip, NAME)
    begin = time.monotonic()
    with pytest.raises(CapgenError, match=words) as caught:
        push_model(plan, TOKEN)
    assert time.monotonic() - begin < 5
    assert caught.value.exit_code == 1
    assert "\n" not in caught.value.message
    assert TOKEN not in caught.value.message + caught.value.hint
    for repository in hub.written.values():
        assert list(repository.messages.values()) == ["initial commit"]
    hub.faults = []
    again = plan_push(clip, NAME)
    push_model(again, TOKEN)
    check_stored(hub, again)


@pytest.mark.parametrize("path", ["/repos/create", "/preupload/", "objects/batch", "/commit/"])
def test_a_busy_hub_is_asked_again_when_it_says(path: str, hub: Hub, clip: ModelFolder) -> None:
    hub.faults = [Fault("POST", path, 429, headers={"Retry-After": "1"})]
    plan = plan_push(clip, NAME)
    begin = time.monotonic()
    push_model(plan, TOKEN)
    assert time.monotonic() - begin >= 1
    check_stored(hub, plan)


@pytest.mark.parametrize("path", ["/repos/create", "/preupload/", "/commit/"])
def test_nobody_waits_an_hour(path: str, hub: Hub, clip: ModelFolder) -> None:
    hub.faults = [Fault("POST", path, 429, times=99, headers={"Retry-After": "3600"})]
    begin = time.monotonic()
    with pytest.raises(NetworkError, match="wait 3600 seconds"):
        push_model(plan_push(clip, NAME), TOKEN)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/preupload/"), ("PUT", "/lfs/"), ("POST", "/commit/")]
)
def test_a_hub_that_goes_on_failing_is_given_up_on(
    method: str, path: str, hub: Hub, clip: ModelFolder
) -> None:
    hub.faults = [Fault(method, path, 503, times=99)]
    begin = time.monotonic()
    with pytest.raises(NetworkError, match="503"):
        push_model(plan_push(clip, NAME), TOKEN, patience=Patience(failing=0.5))
    assert time.monotonic() - begin < 5


def test_a_wrong_token(hub: Hub, clip: ModelFolder, monkeypatch, capfd) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrongSecret")
    assert main(["hub", "push", str(clip.path), NAME]) == 1
    said = "".join(capfd.readouterr())
    assert "does not accept the token" in said and "capgen hub login" in said
    assert "hf_wrongSecret" not in said
    assert hub.written == {}


def test_a_token_that_may_only_read(hub: Hub, clip: ModelFolder) -> None:
    hub.users["hf_reader"] = "me"
    hub.readers.add("hf_reader")
    with pytest.raises(NetworkError, match="403"):
        push_model(plan_push(clip, NAME), "hf_reader")


def test_a_token_with_a_line_break_is_not_repeated(clip: ModelFolder, hub, monkeypatch, capfd):
    monkeypatch.setenv("HF_TOKEN", "hf_two\nlines")
    assert main(["hub", "push", str(clip.path), NAME]) == 2
    said = "".join(capfd.readouterr())
    assert "HF_TOKEN" in said and "lines" not in said
    assert hub.requests == []


def test_without_a_token_no_model_is_looked_for(hub: Hub, clip: ModelFolder, monkeypatch, capfd):
    monkeypatch.delenv("HF_TOKEN")
    assert main(["hub", "push", "nowhere", NAME]) == 2
    assert "capgen hub login" in capfd.readouterr().err
    assert main(["hub", "push", str(clip.path), NAME, "--dry-run"]) == 0
    assert NAME in capfd.readouterr().out


def test_no_network(clip: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    begin = time.monotonic()
    with pytest.raises(NetworkError, match="Cannot reach"):
        push_model(plan_push(clip, NAME), TOKEN)
    assert time.monotonic() - begin < 8


def test_somebody_else_commits_meanwhile(
    hub: Hub, clip: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_model(plan_push(clip, NAME), TOKEN)
    from capgen.hub import push as module

    real = module.list_repository

    def stale(*arguments: object, **options: object) -> object:
        listing = real(*arguments, **options)  # type: ignore[arg-type]
        hub.written[NAME].commits["b" * 40] = {}
        hub.written[NAME].branches["main"] = "b" * 40
        return listing

    monkeypatch.setattr(module, "list_repository", stale)
    with pytest.raises(NetworkError, match="changed in the meantime"):
        push_model(plan_push(clip, NAME, PushOptions(licence="mit")), TOKEN)
    assert hub.written[NAME].branches["main"] == "b" * 40


def test_graphs_of_older_weights_are_removed_and_foreign_files_stay(
    hub: Hub, with_graphs: ModelFolder, clip: ModelFolder
) -> None:
    push_model(plan_push(with_graphs, NAME), TOKEN)
    repository = hub.written[NAME]
    repository.commits[repository.branches["main"]]["notes.md"] = weights_sent(hub)[0]
    plan = plan_push(clip, NAME)
    pushed = push_model(plan, TOKEN)
    assert pushed.removed == ("onnx/decoder.onnx", "onnx/encoder.onnx")
    files = repository.commits[pushed.commit]
    assert "notes.md" in files
    assert set(files) == {file.name for file in plan.files} | {"notes.md", ".gitattributes"}


def test_a_pickle_is_not_pushed(clip: ModelFolder, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(clip.path, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnsafeModelError, match="pickle"):
        plan_push(ModelFolder(folder, "pickled"), NAME)


def test_only_the_models_files_are_pushed(clip: ModelFolder, tmp_path: Path) -> None:
    folder = tmp_path / "littered"
    shutil.copytree(clip.path, folder)
    for name in (".env", "optimizer.pt", "notes.txt", "photo.jpg"):
        (folder / name).write_bytes(b"mine")
    names = {file.name for file in plan_push(ModelFolder(folder, "m"), NAME).files}
    assert names == {file.name for file in plan_push(clip, NAME).files}


def test_an_example_image_is_captioned_and_loses_its_metadata(
    hub: Hub, images: list[Path], capsys
) -> None:
    arguments = ["--example", str(images[0]), "--credit", "drawn by a program", "--token", TOKEN]
    assert main(["hub", "push", "mini", "me/mini", *arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    files = hub.written["me/mini"].commits[printed["commit"]]
    card = (hub.store / files["README.md"]).read_text()
    assert main(["caption", str(images[0])]) == 0
    assert capsys.readouterr().out.strip() in card
    assert "drawn by a program" in card
    image = (hub.store / files["examples/1.jpg"]).read_bytes()
    assert image.startswith(b"\xff\xd8") and b"Exif" not in image


def test_images_of_data_sets_are_no_examples(home: Path, images: list[Path], capsys) -> None:
    place = home / "datasets" / "flickr8k" / "1.jpg"
    place.parent.mkdir(parents=True)
    shutil.copy(images[0], place)
    assert main(["hub", "push", "mini", "me/mini", "--example", str(place), "--dry-run"]) == 2
    assert "data set" in capsys.readouterr().err


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> list[str]:
    """Answer questions on a terminal; return what is asked."""
    asked: list[str] = []

    def confirm(question: str, **options: object) -> None:
        asked.append(question)
        if answer != "y":
            raise typer.Abort

    monkeypatch.setattr("capgen.cli.hub.is_terminal", lambda stream: stream is sys.stdin)
    monkeypatch.setattr(typer, "confirm", confirm)
    return asked


def test_a_new_public_repository_is_asked_for_once(
    hub: Hub, clip: ModelFolder, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["hub", "push", str(clip.path), NAME]
    asked = on_a_terminal(monkeypatch, "n")
    assert main(command) == 1
    assert asked == [f"{NAME} will be new and public: everyone can see it. Push?"]
    assert NAME not in hub.written
    asked = on_a_terminal(monkeypatch, "y")
    assert main(command) == 0
    assert f"to {NAME} (main), new and public" in capsys.readouterr().err
    assert main(command) == 0
    assert f"to {NAME} (main), which is public" in capsys.readouterr().err
    assert len(asked) == 1
    hub.written[NAME].private = True
    assert main(command) == 0
    assert f"to {NAME} (main), which is private" in capsys.readouterr().err
    for options in (["--private"], ["--yes"]):
        assert main(["hub", "push", str(clip.path), f"me/other{len(options[0])}", *options]) == 0
    assert len(asked) == 1
