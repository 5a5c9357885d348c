"""What can be chosen in a run: passes, processes, what is trained, trackers, samples."""

from __future__ import annotations

import importlib.util
import json
import math
from collections import Counter

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException
from transformers.models.clip.modeling_clip import CLIPMLP
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

from capgen.cli.main import main
from capgen.errors import DeviceMemoryError, MissingDependencyError, TrainingError, UsageError
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.records import EpochEvent, Notice, RunCreated, SampleEvent, StepEvent, TestEvent
from capgen.training.model.make_captioner import make_captioner
from capgen.training.objectives.cross_entropy import CaptionObjective, CrossEntropy
from capgen.training.plan.estimate import estimate
from capgen.training.run.train import train
from tests.minis import write_flickr8k
from tests.training_runs import SENTENCES, clip_config, eight_images, of_kind, run_config


def losses(events):
    return [event.loss for event in of_kind(StepEvent, events)]


def trained_weights(run):
    return load_captioning(ModelFolder(run / "last", "last")).model.state_dict()


def assert_close(one, other, tolerance):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=tolerance, rtol=0)


# AdamW divides by the gradient's size, so that differences of 1e-8 in tiny gradients grow; a
# large epsilon is not a setting, so the learning rate is small and the losses are compared.
GENTLE = {"learning_rate": 1e-4, "decoder_learning_rate": 1e-4, "encoder_learning_rate": 1e-4}


def test_accumulated_passes_equal_one_large_pass(tmp_path, data, parts):
    runs = {}
    for name, size, passes in (("one", 8, 1), ("four", 2, 4), ("uneven", 3, 2)):
        config = clip_config(
            tmp_path,
            data,
            output_dir=tmp_path / name,
            batch_size=size,
            accumulation=passes,
            num_epochs=6,
            test=False,
            eval=False,
            **GENTLE,
        )
        runs[name] = losses(train(config))
    assert len(runs["one"]) == 6
    assert runs["four"] == pytest.approx(runs["one"], abs=1e-5)
    # 6 images a step are two steps an epoch: another run.
    assert len(runs["uneven"]) == 12
    one, four = (trained_weights(tmp_path / name) for name in ("one", "four"))
    assert_close(one, four, 1e-5)


def test_more_processes_than_images(tmp_path, data, parts):
    """The share of a process without images has no loss and no gradient."""
    from capgen.training.data.packed_captions import CaptionCodec, pack_captions

    captioning = make_captioner(clip_config(tmp_path, data), [])
    objective = CaptionObjective(captioning.model, cached=False)
    codec = CaptionCodec.of(captioning, 32)
    packed = pack_captions([codec.encode(["a dog"])], pad=0, unknown=None).without_targets()
    loss = objective.loss_sum(objective.encode(torch.randn(1, 3, 32, 32)), packed)
    loss.backward()
    assert loss.item() == 0.0
    grads = [p.grad for p in captioning.model.parameters() if p.grad is not None]
    assert grads
    assert not any(grad.any() for grad in grads)


@pytest.mark.parametrize("where", ["train", "validate"])
def test_out_of_memory_halves_the_batch(tmp_path, parts, monkeypatch, where):
    """A device that holds an image at a time (two to validate): the same run, in smaller passes."""
    room, tries = (1, [4, 2]) if where == "train" else (2, [4])
    data = write_flickr8k(tmp_path / "data", eight_images(val=4))
    whole = list(train(clip_config(tmp_path, data, output_dir=tmp_path / "a", **GENTLE)))
    plain, failed = CaptionObjective.features, []

    def features(self, inputs):
        training = torch.is_grad_enabled()
        if training == (where == "train") and len(inputs) > room:
            failed.append(len(inputs))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, inputs)

    monkeypatch.setattr(CaptionObjective, "features", features)
    pieces = list(train(clip_config(tmp_path, data, output_dir=tmp_path / "b", **GENTLE)))
    assert failed == tries  # once each: it is remembered
    assert losses(pieces) == pytest.approx(losses(whole), abs=1e-5)
    for one, other in zip(of_kind(EpochEvent, pieces), of_kind(EpochEvent, whole), strict=True):
        assert one.val_loss == pytest.approx(other.val_loss, abs=1e-5)
        assert one.metrics == pytest.approx(other.metrics)
    notices = [event.message for event in of_kind(Notice, pieces) if "Memory" in event.message]
    if where == "train":
        assert notices == [
            "Memory ran out at step 1 with 4 images per pass: continuing with 1, 4 passes per step"
        ]


def test_too_little_memory_for_one_image_is_an_error(tmp_path, data, parts, monkeypatch):
    def encode(self, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(CaptionObjective, "encode", encode)
    with pytest.raises(TrainingError, match="with 1 images per pass") as caught:
        list(train(clip_config(tmp_path, data)))
    assert "--gradient-checkpointing" in caught.value.hint


def test_too_little_memory_for_the_optimizer_is_not_tried_in_smaller_passes(
    tmp_path, data, parts, monkeypatch
):
    plain, passes = CaptionObjective.encode, []

    def encode(self, inputs):
        passes.append(len(inputs))
        return plain(self, inputs)

    def step(self, closure=None):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(CaptionObjective, "encode", encode)
    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(DeviceMemoryError, match="for the optimizer") as caught:
        list(train(clip_config(tmp_path, data)))
    assert "--train-encoder" in caught.value.hint
    assert passes == [4]


def test_too_little_memory_for_the_model(tmp_path, data, parts, monkeypatch):
    def to(self, device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.nn.Module, "to", to)
    with pytest.raises(DeviceMemoryError, match="memory for the model") as caught:
        list(train(clip_config(tmp_path, data)))
    assert "--device" in caught.value.hint


@pytest.mark.parametrize("compiled", [True, False])
def test_a_machine_without_a_compiler(tmp_path, data, parts, monkeypatch, compiled):
    def encode(self, inputs):
        raise TorchDynamoException("InvalidCxxCompiler: No working C++ compiler found")

    monkeypatch.setattr(CaptionObjective, "compile", lambda self: None)
    monkeypatch.setattr(CaptionObjective, "encode", encode)
    # Without --compile it is a bug, and keeps its traceback.
    with pytest.raises(TrainingError if compiled else TorchDynamoException) as caught:
        list(train(clip_config(tmp_path, data, compile=compiled)))
    assert "No working C++ compiler" in str(caught.value)
    if compiled:
        assert "--compile" in caught.value.hint


@pytest.mark.parametrize(("blocks", "trained"), [("none", 0), ("last-1", 1), ("all", 2)])
def test_the_last_blocks_of_an_encoder_are_trained(tmp_path, data, parts, blocks, trained):
    config = clip_config(tmp_path, data, train_encoder=blocks)
    encoder = make_captioner(config, []).model.encoder
    layers = [f"layers.{index}." for index in range(2)]
    of_layer = [
        {p.requires_grad for name, p in encoder.named_parameters() if layer in name}
        for layer in layers
    ]
    assert of_layer == [{index >= 2 - trained} for index in range(2)]
    embedded = {p.requires_grad for n, p in encoder.named_parameters() if "embeddings" in n}
    assert embedded == {blocks == "all"}


def test_the_last_blocks_of_the_mini_are_trained(tmp_path, data, mini):
    config = run_config(tmp_path, data, mini, train_encoder="last-2")
    encoder = make_captioner(config, []).model.encoder
    trained = {name for name, p in encoder.named_parameters() if p.requires_grad}
    assert any("_conv_head" in name for name in trained)
    assert any("neck" in name for name in trained)
    assert not any("_conv_stem" in name for name in trained)
    with pytest.raises(UsageError, match="the encoder has only 7 blocks"):
        make_captioner(run_config(tmp_path, data, mini, train_encoder="last-8"), [])


def test_frozen_blocks_stay_as_they_were(tmp_path, data, parts):
    config = clip_config(tmp_path, data, train_encoder="last-1", num_epochs=1)
    torch.manual_seed(config.seed)
    before = make_captioner(config, []).model.encoder.state_dict()
    list(train(config))
    after = trained_weights(config.output_dir)
    changed = {name for name in before if not torch.equal(before[name], after[f"encoder.{name}"])}
    assert changed
    assert all("layers.1." in name for name in changed)


def test_checkpointed_gradients_are_the_same(tmp_path, data, parts, monkeypatch):
    """Blocks of both parts are computed once more, in the backward pass, with the same losses."""
    computed = Counter()

    def counted(kind):
        plain = kind.forward

        def forward(self, *arguments):
            computed[kind.__name__] += torch.is_grad_enabled()
            return plain(self, *arguments)

        monkeypatch.setattr(kind, "forward", forward)

    counted(CLIPMLP)
    counted(GPT2MLP)
    curves, counts = [], []
    for on in (False, True):
        computed.clear()
        config = clip_config(
            tmp_path, data, output_dir=tmp_path / str(on), gradient_checkpointing=on
        )
        curves.append(losses(train(config)))
        counts.append(dict(computed))
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)
    assert counts[1] == {name: 2 * count for name, count in counts[0].items()}
    assert len(counts[0]) == 2


def test_a_compiled_encoder_learns_the_same(tmp_path, data, parts, monkeypatch):
    """With a backend that compiles nothing: the compiler itself takes long, and needs one."""
    compiled = []

    def compile_front(self):
        compiled.append(self)
        self.front.compile(backend="eager")

    monkeypatch.setattr(CaptionObjective, "compile", compile_front)
    curves = [
        losses(train(clip_config(tmp_path, data, output_dir=tmp_path / str(on), compile=on)))
        for on in (False, True)
    ]
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)
    assert len(compiled) == 1


def test_bf16_learns_too(tmp_path, data, parts):
    settings = {"num_epochs": 4, "test": False, "eval": False}
    config = clip_config(tmp_path, data, precision="bf16", **settings)
    curve = losses(train(config))
    assert curve[-1] < curve[0]
    exact = losses(train(clip_config(tmp_path, data, output_dir=tmp_path / "a", **settings)))
    assert 1e-6 < abs(curve[0] - exact[0]) < 0.05  # the first step has the same weights
    with pytest.raises(TrainingError, match="fp16 is for GPUs"):
        list(train(clip_config(tmp_path, data, output_dir=tmp_path / "b", precision="fp16")))


def test_patience_stops_a_run(tmp_path, data, parts):
    config = clip_config(
        tmp_path, data, num_epochs=20, patience=2, eval=False, learning_rate=0.0,
        decoder_learning_rate=0.0, encoder_learning_rate=0.0,
    )  # fmt: skip
    events = list(train(config))
    assert [event.epoch for event in of_kind(EpochEvent, events)] == [1, 2, 3]
    assert "Stopped early" in of_kind(Notice, events)[-1].message
    assert events[-1].epochs == 3


def test_samples_of_each_validation(tmp_path, parts):
    data = write_flickr8k(tmp_path / "data", eight_images(val=4))
    events = list(train(clip_config(tmp_path, data, test_samples_per_epoch=2)))
    every = of_kind(SampleEvent, events)
    followed = [(event.epoch, event.image) for event in every if event.followed]
    assert len(followed) == len(set(followed)) == 8  # the same four images, both times
    samples = [event for event in every if not event.followed]
    assert [event.epoch for event in samples] == [1, 1, 2, 2]
    assert len({event.image for event in samples[:2]}) == 2
    for event in samples:
        assert event.references == (SENTENCES[int(event.image[:-4]) - 8],) * 2
        assert {"METEOR", "BLEU-4", "ROUGE-L", "CIDEr-D"} <= set(event.metrics)


def test_the_chosen_model_is_tested(tmp_path, data, parts):
    events = list(train(clip_config(tmp_path, data)))
    (test,) = of_kind(TestEvent, events)
    assert (test.name, test.images) == ("best-eval", 1)
    stored = ModelFolder(tmp_path / "run" / "best-eval", "best-eval").provenance.metrics
    assert stored["test"]["METEOR"] == test.metrics["METEOR"]
    events = list(train(clip_config(tmp_path, data, test=False, output_dir=tmp_path / "b")))
    assert not of_kind(TestEvent, events)


class Recorder:
    """A tracker that works until it has seen `limit` events."""

    def __init__(self, limit=math.inf):
        self.limit = limit
        self.seen = []

    def start(self, run, settings):
        self.seen.append(("start", run, settings["preset"]))

    def event(self, event):
        self.seen.append(event)
        if len(self.seen) > self.limit:
            raise ConnectionError("the server is gone")

    def finish(self):
        self.seen.append("finish")


def test_trackers_are_told_and_never_stop_training(tmp_path, data, parts):
    good, bad = Recorder(), Recorder(limit=3)
    events = list(train(clip_config(tmp_path, data), tracker=good))
    assert events[0] == RunCreated(run=str(tmp_path / "run"))  # for the caller alone
    assert good.seen == [("start", tmp_path / "run", "clip-gpt2"), *events[1:], "finish"]
    other = list(train(clip_config(tmp_path, data, output_dir=tmp_path / "b"), tracker=bad))
    assert len(bad.seen) == 4
    (notice,) = [told for told in of_kind(Notice, other) if "Recorder" in told.message]
    assert "Recorder failed" in notice.message
    assert "the server is gone" in notice.message
    assert losses(other) == losses(events)


def test_lora_without_peft_says_what_to_install(tmp_path, data, parts, monkeypatch):
    plain = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "peft" else plain(name)
    )
    with pytest.raises(MissingDependencyError, match="peft") as caught:
        # before any part of the model is looked for
        list(train(clip_config(tmp_path, data, lora_rank=4, decoder=str(tmp_path / "none"))))
    assert caught.value.hint == "pip install 'capgen[lora]'"


def test_lora_trains_additions_and_saves_whole_models(tmp_path, data, parts):
    pytest.importorskip("peft")
    config = clip_config(tmp_path, data, lora_rank=4, num_epochs=3, learning_rate=1e-3)
    curve = losses(train(config))
    assert curve[-1] < curve[0]
    from capgen.models.build import build_clip_gpt2

    given = build_clip_gpt2(str(tmp_path / "clip"), str(tmp_path / "gpt2")).model
    after = trained_weights(config.output_dir)
    assert after.keys() == given.state_dict().keys()
    name = "decoder.transformer.h.0.attn.c_attn.weight"
    change = after[name] - given.state_dict()[name]
    assert torch.linalg.matrix_rank(change) == 4
    name = "decoder.transformer.wte.weight"
    assert torch.equal(after[name], given.state_dict()[name])


def test_the_bundled_captioner_can_be_trained_further(tmp_path, data):
    config = clip_config(
        tmp_path, data, init="mini", train_encoder="last-1", encoder=None, decoder=None,
        num_epochs=1, batch_size=8, test=False, eval=False,
    )  # fmt: skip
    events = list(train(config))
    assert math.isfinite(losses(events)[-1])


def test_dry_run_prints_the_plan_and_trains_nothing(tmp_path, data, parts, capsys, monkeypatch):
    monkeypatch.setenv("CAPGEN_SEED", "7")
    arguments = ["--encoder", str(tmp_path / "clip"), "--decoder", str(tmp_path / "gpt2")]
    arguments += ["--data-dir", str(data), "--output-dir", str(tmp_path / "run"), "--dry-run"]
    arguments += ["--train-encoder", "none"]
    assert main(["train", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = {line.split()[0]: line.split() for line in lines if line}
    assert cells["seed"] == ["seed", "7", "CAPGEN_SEED"]
    assert cells["data_dir"][-1] == "--data-dir"
    assert cells["num_epochs"] == ["num_epochs", "10", "preset", "clip-gpt2"]
    assert cells["encoder"][2] == "0"  # the last of that name is in the table of parameters
    assert {"memory:", "time:"} <= set(cells)
    assert not (tmp_path / "run").exists()
    assert main(["train", *arguments, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["settings"]["seed"] == {"value": 7, "from": "CAPGEN_SEED"}
    assert plan["estimate"]["activation_bytes"] > 0


def test_copies_of_the_weights_do_not_grow_with_the_batch(tmp_path, data, parts, monkeypatch):
    """In half precision the weights are cast; the casts are kept, once for a pass."""
    size = 64 << 20

    class Casts(torch.autograd.Function):
        @staticmethod
        def forward(ctx, loss):
            ctx.save_for_backward(torch.empty(size // 4))
            return loss.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    loss_of = CrossEntropy.__call__

    def with_casts(self, share):
        found = loss_of(self, share)
        return found._replace(loss=Casts.apply(found.loss))

    config = clip_config(tmp_path, data, batch_size=100)
    without = estimate(config).activation_bytes
    monkeypatch.setattr(CrossEntropy, "__call__", with_casts)
    extra = estimate(config).activation_bytes - without
    assert extra == pytest.approx(size, rel=0.2)


def test_resume_takes_no_settings_of_another_run(tmp_path, capsys):
    assert main(["train", "--resume", str(tmp_path), "--dry-run"]) == 2
    assert "--resume" in capsys.readouterr().err
