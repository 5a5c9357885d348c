"""Runs whose decoder is spread over the processes: equal to one process, and to go on with."""

from __future__ import annotations

import dataclasses
import json
import signal

import pytest
import torch
from safetensors.torch import load_file

from capgen.errors import UsageError
from capgen.models.run_events import read_events
from capgen.records import RunResumed
from capgen.training.run.train import train
from tests.integration.training.test_processes import (
    SHORT,
    assert_same_curve,
    images_of_steps,
    write_run,
)
from tests.minis import write_flickr8k
from tests.rank_processes import run_ranks
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2
from tests.training_runs import SENTENCES, clip_config, eight_images, of_kind

# Steps of 3, 3 and 2 images, one a pass: not every process has as many passes in each step. Most
# gradients are longer than the norm.
UNEVEN = {**SHORT, "batch_size": 1, "accumulation": 3, "clip_norm": 0.1}


@pytest.fixture
def data(tmp_path):
    return write_flickr8k(tmp_path / "data", eight_images(val=3))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run in one process, undisturbed."""
    folder = tmp_path_factory.mktemp("whole")
    save_tiny_clip(folder / "clip")
    save_tiny_gpt2(folder / "gpt2", SENTENCES)
    data = write_flickr8k(folder / "data", eight_images(val=3))
    list(train(clip_config(folder, data, **UNEVEN)))
    return folder / "run"


def weights(run, name="last"):
    return load_file(run / name / "model.safetensors")


@pytest.mark.slow
def test_two_processes_equal_one_with_half_of_the_blocks_each(tmp_path, data, parts, whole):
    text = tmp_path / "more.txt"
    text.write_text("a dog sits under a tree\nthe girl jumps into the lake\n" * 4, encoding="utf-8")
    clip = clip_config(tmp_path, data, shard_decoder=True, **UNEVEN)
    recomputed = clip_config(
        tmp_path,
        data,
        text_data=text,
        train_encoder="none",
        gradient_checkpointing=True,
        eval=False,
        test=False,
        **SHORT,
    )
    alone = dataclasses.replace(recomputed, output_dir=tmp_path / "alone")
    list(train(alone))
    files = [
        write_run(tmp_path / "clip.toml", clip),
        write_run(tmp_path / "text.toml", dataclasses.replace(recomputed, shard_decoder=True)),
    ]
    ended = run_ranks(files, 2, environment={"SHARES": str(tmp_path)})
    assert [end.code for end in ended] == [0, 0], [end.text for end in ended]
    for one, two in ((whole, tmp_path / "clip"), (tmp_path / "alone", tmp_path / "text")):
        assert_same_curve(one, two)
        torch.testing.assert_close(weights(two), weights(one), rtol=1e-4, atol=1e-6)
    blocks = sum(
        weight.numel() for name, weight in weights(tmp_path / "text").items() if ".h." in name
    )
    for rank in (0, 1):
        kept = json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8"))
        assert kept["weights"] == pytest.approx(blocks / 2, rel=0.01)
        assert kept["average"] == kept["weights"]
        assert kept["optimizer"] == 2 * kept["weights"]


@pytest.mark.slow
def test_a_run_goes_on_with_the_decoder_whole_and_spread(tmp_path, data, parts, whole):
    """Spread over two processes to step 2, whole in one to step 5, spread over three to the end."""
    config = clip_config(tmp_path, data, shard_decoder=True, **UNEVEN)
    file = write_run(tmp_path / "changing.toml", config)
    images = {}
    for count, fault, options in (
        (2, "stop:1:1", ""),
        (1, "stop:0:4", "--no-shard-decoder"),
        (3, "", "--shard-decoder"),
    ):
        folder = tmp_path / f"images-{count}"
        folder.mkdir()
        environment = {"IMAGES": str(folder), "OPTIONS": options}
        ended = run_ranks([file], count, fault=fault, environment=environment)
        assert {end.code for end in ended} == {143 if fault else 0}, [end.text for end in ended]
        images |= images_of_steps(folder, count)
    assert [len(seen) for _, seen in sorted(images.items())] == [3, 3, 2] * 3
    assert_same_curve(whole, tmp_path / "changing")
    torch.testing.assert_close(weights(tmp_path / "changing"), weights(whole), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill:1:5", "validate:1:6"])
def test_a_run_goes_on_after_a_process_has_ended(tmp_path, data, parts, whole, fault):
    """From the last state, which has the parts of all; there is one before each validation."""
    file = write_run(
        tmp_path / "ended.toml",
        clip_config(tmp_path, data, shard_decoder=True, save_every=2, **UNEVEN),
    )
    first, second = run_ranks([file], 2, fault=fault)
    killed = fault.startswith("kill")
    assert (first.code, second.code) == ((1, -signal.SIGKILL) if killed else (143, 143)), first.text
    assert "Traceback" not in first.text
    if killed:
        assert "error: Process 1 of 2 has died" in first.text
    ended = run_ranks([file], 2)
    assert [end.code for end in ended] == [0, 0], [end.text for end in ended]
    assert of_kind(RunResumed, read_events(tmp_path / "ended"))[0].step == (4 if killed else 6)
    assert_same_curve(whole, tmp_path / "ended")


def test_one_process_has_nobody_to_share_with(tmp_path, data, parts):
    with pytest.raises(UsageError, match="has only one") as error:
        list(train(clip_config(tmp_path, data, shard_decoder=True)))
    assert "--no-shard-decoder" in error.value.hint
    assert not (tmp_path / "run").exists()
