"""Models that follow prompts: each kind says what transformers says, alone and in batches."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoTokenizer
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from capgen import Captioner
from capgen.captioning.batch.pipeline import BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import named_source
from capgen.captioning.confidence.observe import Observation, observe
from capgen.captioning.prepare import Prepared
from capgen.captioning.prompts import Prompt
from capgen.captioning.runtimes.torch_prompted import PromptedRuntime
from capgen.config import DecodeOptions, DecodeSettings
from capgen.config.prompts import NAMED_PROMPTS
from capgen.errors import (
    ImageError,
    MissingDependencyError,
    ModelError,
    UnsafeModelError,
    UsageError,
)
from capgen.evaluation.calibration.calibrate import store
from capgen.models.folder import WEIGHTS_FILE
from capgen.models.processors import NoVideos
from capgen.records import CaptionFailure
from tests import tiny_prompted
from tests.confidences import make_fit
from tests.fakes import draw_image
from tests.images_with_metadata import encoded, packet
from tests.own_code import moondream_like

SIZES = [(60, 40), (40, 90), (64, 64), (200, 50), (30, 30), (90, 61)]
IMAGES = [draw_image(seed, size) for seed, size in enumerate(SIZES)]
# transformers 5.17 needs torchvision for some image processors that Pillow computes.
OLD = tuple(map(int, transformers.__version__.split(".")[:2])) < (5, 23)
GREEDY = DecodeSettings(max_length=12, retry=False)
Saved = Callable[[str], Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Returns the folder of a tiny model of some kind, made when it is first asked for."""
    place, made = tmp_path_factory.mktemp("prompted"), {}

    def folder(kind: str) -> Path:
        if kind == "SmolVLM":
            pytest.importorskip("num2words")
        if kind not in made:
            make = tiny_prompted.KINDS.get(kind, moondream_like)
            made[kind] = make(place / str(len(made)))
        return made[kind]

    return folder


@pytest.fixture(scope="module")
def captioners(saved: Saved) -> Callable[[str], Captioner]:
    made: dict[str, Captioner] = {}

    def captioner(kind: str) -> Captioner:
        if kind not in made:
            made[kind] = Captioner.from_pretrained(saved(kind))
        return made[kind]

    return captioner


EVERY_KIND = list(tiny_prompted.KINDS)
# What each kind is asked for a short caption, if not in plain words: from the models' cards.
TASKS = {
    "PaliGemma": "<image>caption en",
    "Florence-2": "<CAPTION>",
    "InstructBLIP": "Write a short description for the image.",
    "Kosmos-2": "An image of",
    "BLIP-2": "",
}


def own_processor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The processor as transformers makes it, and not capgen."""
    name = json.loads((folder / "processor_config.json").read_text())["processor_class"]
    kind = getattr(transformers, name)
    attributes = kind.get_attributes()
    if "video_processor" not in attributes and not (OLD and "Idefics" in name):
        return kind.from_pretrained(folder)
    # Without torchvision there is no part for videos: it is left out.
    monkeypatch.setattr(kind, "check_argument_for_proper_class", lambda *given: None)
    settings, _ = kind.get_processor_dict(folder)
    parts: dict[str, Any] = {"image_processor": AutoImageProcessor, "tokenizer": AutoTokenizer}
    if OLD and name.startswith(("Idefics", "SmolVLM")):
        parts["image_processor"] = tiny_prompted.pil_class(name.replace("Proc", "ImageProc"))
    loaded = [
        parts[part].from_pretrained(folder) if part in parts else NoVideos() for part in attributes
    ]
    return kind.from_args_and_dict(loaded, settings)


def said_by_transformers(
    folder: Path, kind: str, image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    processor = own_processor(folder, monkeypatch)
    if kind in TASKS:
        text = {"text": TASKS[kind]} if TASKS[kind] else {}
        inputs = processor(images=image, **text, return_tensors="pt")
    else:
        content = [{"type": "image"}, {"type": "text", "text": NAMED_PROMPTS["caption"]}]
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        inputs = processor(images=[image], text=text, return_tensors="pt")
    inputs.pop("labels", None)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    with torch.inference_mode():
        return model.generate(**inputs, max_new_tokens=12, do_sample=False)[0].tolist()


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_captions_are_those_of_transformers(
    kind: str, saved: Saved, captioners: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = IMAGES[0]
    caption = captioners(kind).caption(image, beams=1, max_length=12, retry=False)
    ids = [token.id for token in caption.tokens]
    theirs = said_by_transformers(saved(kind), kind, image, monkeypatch)
    assert ids and ids == theirs[len(theirs) - len(ids) :]
    assert len(ids) == 12 or ids[-1] == 256


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_batch_changes_no_caption(kind: str, captioners: Any) -> None:
    """Neither do other images, of other shapes, nor longer prompts beside it."""
    runtime: PromptedRuntime = captioners(kind).runtime
    short = runtime.prompt_for(Prompt())
    prompts = [short, f"{short} Really", short, "Say all", short, "In one word, please?"]
    if kind == "Florence-2":
        prompts = [short, "<DETAILED_CAPTION>", short, "Say all", short, "What is it?"]
    inputs = [runtime.prepare(i, p) for i, p in zip(IMAGES, prompts, strict=True)]
    for settings in (GREEDY, DecodeSettings(max_length=8, beams=3)):
        together = runtime.generate(inputs, settings).hypotheses
        alone = [runtime.generate([each], settings).hypotheses[0] for each in inputs]
        for one, other in zip(together, alone, strict=True):
            assert one[0].ids == other[0].ids
            assert one[0].log_probability == pytest.approx(other[0].log_probability, abs=1e-3)
            assert len(one) == settings.beams
    if kind not in ("Kosmos-2", "Gemma 3", "Florence-2"):  # these tiny ones see little
        assert len({tuple(each[0].ids) for each in together}) > 3


class Stopping(threading.Event):
    """Is set once it was asked a number of times; counts the questions."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after, self.asked = after, 0

    def is_set(self) -> bool:
        self.asked += 1
        return self.asked > self.after


@pytest.mark.parametrize("beams", [1, 2])
def test_a_run_that_ends_does_not_wait_for_its_answers(beams: int, captioners: Any) -> None:
    captioner, stop = captioners("LLaVA"), Stopping(3)
    settings, _ = captioner.settings(
        DecodeOptions(beams=beams, max_length=40, min_length=40, retry=False)
    )
    inputs = [captioner.runtime.prepare(draw_image(n, (40, 40)), "Say all") for n in range(2)]
    with pytest.raises(CancelledError):
        captioner.until(stop).runtime.generate(inputs, settings)
    assert stop.asked < 10
    (first, _) = captioner.runtime.generate(inputs, settings).hypotheses
    assert len(first[0].ids) >= 40  # the captioner itself goes on


@pytest.mark.parametrize("kind", [*EVERY_KIND, "own code"])
def test_search_and_samples(kind: str, saved: Saved) -> None:
    captioner = Captioner.from_pretrained(saved(kind), trust_remote_code=kind == "own code")
    best = captioner.caption(IMAGES[0], beams=4, num_captions=3, max_length=8, retry=False)
    found = (best, *best.alternatives)
    assert len({tuple(t.id for t in one.tokens) for one in found}) == 3
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    for one in found:
        assert all(token.log_probability <= 1e-6 for token in one.tokens)
        assert one.score == pytest.approx(one.log_probability / len(one.tokens))
    images = [IMAGES[1], IMAGES[0], IMAGES[1]]
    options = {"temperature": 1.5, "seed": 3, "max_length": 6, "num_captions": 2, "retry": False}
    first, other, again = captioner.caption(images, **options)
    assert first == again and first.tokens != other.tokens
    assert first.tokens == captioner.caption(IMAGES[1], **options).tokens
    assert first.tokens != captioner.caption(IMAGES[1], **{**options, "seed": 4}).tokens


@pytest.mark.parametrize("kind", ["LLaVA", "Qwen2-VL", "Florence-2"])
def test_log_probabilities_are_those_of_one_forward_pass(kind: str, captioners: Any) -> None:
    runtime: Any = captioners(kind).runtime
    made = runtime.prepare(IMAGES[0], runtime.prompt_for(Prompt()))
    (found,) = runtime.generate([made], GREEDY).hypotheses[0]
    ids, inputs = torch.tensor([found.ids]), dict(made.content)
    if kind == "Florence-2":
        inputs["decoder_input_ids"] = torch.cat([torch.tensor([[256]]), ids[:, :-1]], 1)
    else:
        inputs["input_ids"] = torch.cat([inputs["input_ids"], ids[:, :-1]], 1)
        zeros = torch.zeros_like(ids[:, :-1])
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], zeros + 1], 1)
        for name in {"mm_token_type_ids"} & inputs.keys():
            inputs[name] = torch.cat([inputs[name], zeros], 1)
    with torch.inference_mode():
        logits = runtime._model(**inputs).logits[0, -ids.shape[1] :]
    expected = torch.log_softmax(logits, -1).gather(1, ids[0, :, None])[:, 0]
    assert found.log_probabilities == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.fixture
def llava(saved: Saved, tmp_path: Path) -> Path:
    """A copy of a small model, to be changed."""
    return Path(shutil.copytree(saved("LLaVA"), tmp_path / "llava"))


def edit(folder: Path, name: str, **changed: Any) -> None:
    path = folder / name
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**known, **changed}))


def test_nothing_follows_the_end(llava: Path) -> None:
    """Neither the model's own end tokens nor the tokenizer's is left out."""
    before = Captioner.from_pretrained(llava).caption(IMAGES, beams=1, max_length=12, retry=False)
    ids = [token.id for token in before[0].tokens]
    end = next(token for token in ids[2:] if token not in ids[:2])
    edit(llava, "generation_config.json", eos_token_id=[end])
    captioner = Captioner.from_pretrained(llava)
    after = captioner.caption(IMAGES, beams=1, max_length=12, retry=False)
    assert [token.id for token in after[0].tokens] == ids[: ids.index(end) + 1]
    for old, new in zip(before, after, strict=True):
        kept = [token.id for token in new.tokens]
        assert kept == [token.id for token in old.tokens][: len(kept)]
        assert not {end, 256} & set(kept[:-1])


def test_lengths_are_those_of_the_answer(llava: Path) -> None:
    captioner = Captioner.from_pretrained(llava)
    for length in (2, 7):
        caption = captioner.caption(IMAGES[0], beams=1, max_length=length, retry=False)
        assert len(caption.tokens) == length
        assert caption.notes == (f"cut off at max_length {length}",)
    caption = captioner.caption(IMAGES[0], max_length=9, min_length=9, retry=False)
    assert len(caption.tokens) == 9
    lengths = {None: 64, "caption": 64, "alt": 64, "tags": 128, "detailed": 320, "Say all": 256}
    for prompt, expected in lengths.items():
        asked = Captioner.from_pretrained(llava, prompt=prompt)
        assert asked.settings(DecodeOptions())[0].max_length == expected


def test_settings_for_conversations_are_not_for_captions(llava: Path) -> None:
    """What chat models have in generation_config.json would make captions random."""
    edit(
        llava,
        "generation_config.json",
        do_sample=True,
        temperature=1e-6,
        top_k=1,
        max_length=4096,
    )
    captioner = Captioner.from_pretrained(llava)
    settings, notes = captioner.settings(DecodeOptions())
    assert not settings.sample and settings.max_length == 64 and notes == ()
    assert captioner.settings(DecodeOptions(top_p=0.9))[0].temperature == 1.0
    edit(llava, "generation_config.json", max_new_tokens=33)
    settings, _ = Captioner.from_pretrained(llava).settings(DecodeOptions())
    assert settings.max_length == 33


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("<think>a cat?\nyes</think>\n\na cat", "a cat"),
        ("it is a cat</think>a cat", "a cat"),  # the template opened it
        ("<think>a cat, or", ""),
        ("◁think▷hm◁/think▷a cat", "a cat"),
        ("a cat", "a cat"),
    ],
)
def test_thoughts_are_left_out(said: str, kept: str, captioners: Any) -> None:
    runtime = captioners("LLaVA").runtime
    ids = runtime._tokenizer(said)["input_ids"]
    assert runtime.decode([*ids, 256]).strip() == kept


def test_prompts_reach_the_model(saved: Saved, captioners: Any) -> None:
    runtime: Any = captioners("Idefics3").runtime
    asked = runtime.prompt_for(Prompt("", "Say what it is"))
    ids = runtime.prepare(IMAGES[0], asked).content["input_ids"][0].tolist()
    text = runtime._tokenizer.decode(ids)
    assert text.startswith("<|user|>") and text.endswith("Say what it is<|assistant|>")
    captioner = Captioner.from_pretrained(saved("Idefics3"), system="Be brief", prompt="alt")
    runtime = captioner.runtime
    prompt = runtime.prompt_for(captioner.prompting.prompt)
    text = runtime._tokenizer.decode(runtime.prepare(IMAGES[0], prompt).content["input_ids"][0])
    assert text.startswith("<|system|>Be brief<|user|>") and NAMED_PROMPTS["alt"] in text
    caption = captioner.caption(IMAGES[0], max_length=3)
    assert caption.settings["prompt"] == NAMED_PROMPTS["alt"]
    assert caption.settings["system"] == "Be brief"


def test_task_words(captioners: Any) -> None:
    asked = {
        "Florence-2": ("<CAPTION>", "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>"),
        "PaliGemma": ("caption en", "caption en", "describe en"),
        "LLaVA": tuple(NAMED_PROMPTS[name] for name in ("caption", "alt", "detailed")),
    }
    for kind, words in asked.items():
        runtime = captioners(kind).runtime
        for name, expected in zip(("caption", "alt", "detailed"), words, strict=True):
            assert runtime.prompt_for(Prompt(name, NAMED_PROMPTS[name])) == expected
        assert runtime.prompt_for(Prompt("", "hi")) == "hi"
    with pytest.raises(UsageError, match="does not understand --prompt tags"):
        captioners("Florence-2").runtime.prompt_for(Prompt("tags", "x"))
    with pytest.raises(UsageError, match="does not understand --prompt detailed"):
        captioners("BLIP-2").runtime.prompt_for(Prompt("detailed", "x"))


def test_system_messages_need_a_place(saved: Saved, llava: Path) -> None:
    with pytest.raises(UsageError, match="--system needs a model with a chat template"):
        Captioner.from_pretrained(saved("PaliGemma"), system="Be brief")
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no!') }}{% endif %}"
    template = llava / "chat_template.jinja"
    template.write_text(refuses + tiny_prompted.TEMPLATE)
    Captioner.from_pretrained(llava)
    with pytest.raises(UsageError, match="takes no system message: no!"):
        Captioner.from_pretrained(llava, system="Be brief")
    template.write_text("{% if")
    with pytest.raises(ModelError, match="chat template cannot be filled in"):
        Captioner.from_pretrained(llava)


def test_templates_for_text_alone_and_none(llava: Path) -> None:
    """The image's mark is put in, once."""
    alone = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[assistant]"
    template = llava / "chat_template.jinja"
    asked = NAMED_PROMPTS["caption"]
    template.write_text(alone)
    runtime: Any = Captioner.from_pretrained(llava, system="Be brief").runtime
    assert runtime._inputs.text(asked).text == f"[system]Be brief[user]<image>\n{asked}[assistant]"
    assert Captioner.from_pretrained(llava).caption(IMAGES[0], max_length=3).tokens
    template.unlink()
    runtime = Captioner.from_pretrained(llava).runtime
    assert runtime._inputs.text(asked).text == f"USER: <image>\n{asked} ASSISTANT:"
    edit(llava, "tokenizer_config.json", chat_template=tiny_prompted.TEMPLATE)
    runtime = Captioner.from_pretrained(llava).runtime
    assert runtime._inputs.text(asked).text == f"<|user|><image>{asked}<|assistant|>"


@pytest.mark.parametrize("words", ["a list: [{'type': 'text'}]", "'type'", " hi "])
def test_words_do_not_decide_how_a_message_is_written(words: str, llava: Path) -> None:
    (llava / "chat_template.jinja").write_text(
        tiny_prompted.TEMPLATE.replace("{{ part['text'] }}", "{{ part['text'] | trim }}")
    )
    runtime: Any = Captioner.from_pretrained(llava).runtime
    assert runtime._inputs.text(words).text == f"<|user|><image>{words.strip()}<|assistant|>"


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("LLaVA", {"prompt": "Is <image> it?"}),
        ("LLaVA", {"prompt": "hi", "start_with": "<image>"}),
        ("LLaVA", {"system": "<image>"}),
        ("Qwen2-VL", {"prompt": "<|image_pad|>"}),
        ("Gemma 3", {"prompt": "<begin>"}),
        ("PaliGemma", {"prompt": "<image>"}),
        ("Florence-2", {"prompt": "<CAPTION> please"}),
        ("Florence-2", {"prompt": "<image>"}),
    ],
)
def test_marks_that_confuse_a_processor_are_refused(
    kind: str, asked: dict[str, str], saved: Saved
) -> None:
    with pytest.raises(UsageError, match="the model cannot be asked that") as caught:
        Captioner.from_pretrained(saved(kind), **asked)
    assert "special tokens" in caught.value.hint


MARKS = "<image> <|end|><|assistant|>[INST] ◁think▷ <|image_pad|><begin>＜image＞"


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_marks_in_metadata_are_text(kind: str, saved: Saved) -> None:
    """What a photo says about itself neither ends the user's message nor begins another."""
    prompt = "<CAPTION>" if kind == "Florence-2" else "Say {caption}{file} of"
    captioner = Captioner.from_pretrained(saved(kind), prompt=f"{prompt} {{caption}}")
    plain = Captioner.from_pretrained(saved(kind), prompt="Say of")
    data = encoded("JPEG", Image.new("RGB", (60, 40), "red"), xmp=packet(MARKS))
    if kind == "Florence-2":
        failure = captioner.prepare(data, path="<image>.jpg")
        assert isinstance(failure, CaptionFailure) and failure.code == "prompt"
        captioner = Captioner.from_pretrained(saved(kind), prompt="Say {caption}{file} of")
    made = captioner.prepare(data, path="photos/<image>.jpg")
    expected = plain.prepare(data)
    assert isinstance(made, Prepared) and isinstance(expected, Prepared)
    tokenizer: Any = captioner.runtime._tokenizer  # type: ignore[attr-defined]
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    counts = [
        [each for each in one.input.content["input_ids"][0].tolist() if each in special]
        for one in (made, expected)
    ]
    assert counts[0] == counts[1]
    assert made.prompt is not None and "< image>" in made.prompt
    assert captioner.caption(data, max_length=2).tokens


def test_a_start_token_of_the_template_is_not_doubled(llava: Path) -> None:
    (llava / "chat_template.jinja").write_text("{{ bos_token }}" + tiny_prompted.TEMPLATE)
    post = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<|end|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [256], "tokens": ["<|end|>"]}},
    }
    edit(llava, "tokenizer.json", post_processor=post)
    runtime: Any = Captioner.from_pretrained(llava).runtime
    ids = runtime.prepare(IMAGES[0], "hi").content["input_ids"][0].tolist()
    assert ids.count(256) == 1 and ids[0] == 256


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_images_are_prepared_in_threads(kind: str, captioners: Any) -> None:
    runtime: PromptedRuntime = captioners(kind).runtime
    assert type(runtime._inputs.processor.image_processor).__name__.endswith("Pil")
    jobs = [(image, f"say {n}{'!' * n}") for n in range(4) for image in IMAGES]
    alone = [runtime.prepare(*job).content for job in jobs]
    together = threading.Barrier(8)

    def prepare(number: int) -> list[Any]:
        together.wait()
        return [runtime.prepare(*job).content for job in jobs]

    with ThreadPoolExecutor(8) as pool:
        for made in pool.map(prepare, range(8)):
            for one, other in zip(made, alone, strict=True):
                assert one.keys() == other.keys()
                assert all(torch.equal(one[name], other[name]) for name in one)


def test_images_of_any_shape(saved: Saved, captioners: Any) -> None:
    for kind in ("LLaVA", "Qwen2-VL", "Idefics3"):
        captioner = captioners(kind)
        for size in ((1, 1), (3, 3), (1, 40), (40, 3), (800, 9)):
            assert captioner.caption(Image.new("RGB", size, "red"), max_length=2).tokens
        with pytest.raises(ImageError, match="too narrow for this model"):
            captioner.caption(Image.new("RGB", (1, 300)))


def test_what_cannot_be_done_is_said(captioners: Any) -> None:
    captioner = captioners("LLaVA")
    with pytest.raises(ModelError, match="cannot show where a 'llava' model looks"):
        captioner.caption(IMAGES[0], return_attention=True)
    with pytest.raises(ModelError, match="reads the image as a part"):
        captioner.runtime.replay(captioner.prepare(IMAGES[0]).input, [1])


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_summaries_for_the_confidence(kind: str, captioners: Any) -> None:
    """They are those of the image, not of the prompt or the batch."""
    captioner = captioners(kind)
    inputs = [captioner.prepare(image).input for image in IMAGES]
    if OLD and kind == "Kosmos-2":
        with pytest.raises(ModelError, match="does not know the image features"):
            captioner.runtime.generate(inputs, GREEDY).summarise()
        return
    summaries = captioner.runtime.generate(inputs, GREEDY).summarise()
    alone = captioner.runtime.generate(inputs[1:2], GREEDY).summarise()
    assert summaries.shape == (6, tiny_prompted.WIDTH) and summaries.dtype.name == "float32"
    assert summaries[1] == pytest.approx(alone[0], abs=1e-4)
    assert abs(summaries[0] - summaries[1]).max() > 1e-4


def test_code_of_the_model_runs_only_if_it_may(saved: Saved, tmp_path: Path) -> None:
    folder = moondream_like(tmp_path / "moon")
    with pytest.raises(UnsafeModelError, match="needs its own code"):
        Captioner.from_pretrained(folder)
    assert not list(tmp_path.rglob("ran"))
    captioner = Captioner.from_pretrained(folder, trust_remote_code=True, prompt="What?")
    batch = captioner.caption(IMAGES, beams=1, max_length=6, retry=False)
    assert len({tuple(token.id for token in one.tokens) for one in batch}) > 1
    for image, one in zip(IMAGES, batch, strict=True):
        alone = captioner.caption(image, beams=1, max_length=6, retry=False)
        assert [t.id for t in alone.tokens] == [t.id for t in one.tokens]
    (folder / "processor_config.json").unlink()
    with pytest.raises(ModelError, match="no processor: only its own code"):
        Captioner.from_pretrained(folder, trust_remote_code=True)


def test_known_kinds_never_run_code(llava: Path) -> None:
    """As in old folders of Florence-2, whose kind transformers has learnt since."""
    edit(llava, "config.json", auto_map={"AutoConfig": "bad.C", "AutoModelForCausalLM": "bad.M"})
    (llava / "bad.py").write_text("raise SystemExit(3)")
    for trusted in (False, True):
        captioner = Captioner.from_pretrained(llava, trust_remote_code=trusted)
        assert captioner.caption(IMAGES[0], max_length=2).tokens
    weights = {f"old.{name}": each for name, each in load_file(llava / WEIGHTS_FILE).items()}
    save_file(weights, llava / WEIGHTS_FILE, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks .* weights") as caught:
        Captioner.from_pretrained(llava)
    assert "florence-community" in caught.value.hint


def test_kinds_that_transformers_does_not_know(llava: Path) -> None:
    edit(llava, "config.json", model_type="newest_vl")
    with pytest.raises(ModelError, match=r"'newest_vl' model, which transformers \d") as caught:
        Captioner.from_pretrained(llava)
    assert "qwen2_vl" in caught.value.hint and "smolvlm" in caught.value.hint


def test_damaged_folders(llava: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(llava, whole)
    (llava / "processor_config.json").unlink()
    with pytest.raises(ModelError, match=r"has no preprocessor_config\.json, nor") as caught:
        Captioner.from_pretrained(llava)
    assert "AutoImageProcessor" in caught.value.hint
    shutil.copy(whole / "processor_config.json", llava)
    (llava / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="has no usable tokenizer"):
        Captioner.from_pretrained(llava)
    shutil.copy(whole / "tokenizer.json", llava)
    (llava / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match=r"Cannot load|not a safetensors file"):
        Captioner.from_pretrained(llava)


def test_settings_that_older_processors_leave_to_the_model(saved: Saved, tmp_path: Path) -> None:
    """Before transformers 4.48, how many tokens an image takes was not in the processor's file."""
    for name, keys in (
        ("LLaVA", ("patch_size", "vision_feature_select_strategy", "num_additional_image_tokens")),
        ("BLIP-2", ("num_query_tokens",)),
    ):
        folder = tmp_path / name
        shutil.copytree(saved(name), folder)
        expected = Captioner.from_pretrained(folder).caption(IMAGES[0], max_length=6, retry=False)
        file = folder / "processor_config.json"
        settings = json.loads(file.read_text())
        assert settings.keys() & set(keys)
        file.write_text(json.dumps({k: v for k, v in settings.items() if k not in keys}))
        old = Captioner.from_pretrained(folder).caption(IMAGES[0], max_length=6, retry=False)
        assert old.tokens == expected.tokens


def test_where_and_how_it_runs(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved("LLaVA")
    plain = Captioner.from_pretrained(folder).caption(IMAGES[0], max_length=6)
    spread = Captioner.from_pretrained(folder, device_map="auto")
    assert spread.caption(IMAGES[0], max_length=6).tokens == plain.tokens
    half = Captioner.from_pretrained(folder, dtype="bf16", device="cpu")
    assert half.caption(IMAGES[0], max_length=6).settings["dtype"] == "bfloat16"
    with pytest.raises(ModelError, match="ONNX Runtime runs no such model"):
        Captioner.from_pretrained(folder, runtime="onnx")
    with pytest.raises(UsageError, match="--quantize is 'int3'"):
        Captioner.from_pretrained(folder, quantize="int3")
    with pytest.raises(UsageError, match="--device-map auto cannot be used together"):
        Captioner.from_pretrained(folder, device="cpu", device_map="auto")
    with pytest.raises(UsageError, match="--quantize is for models that follow prompts"):
        Captioner.from_pretrained(None, quantize="int8")


@pytest.mark.parametrize("quantize", ["int8", "int4"])
def test_quantised_weights(quantize: str, tmp_path: Path) -> None:
    """They are smaller, and the model says something like what it says without."""
    pytest.importorskip("bitsandbytes")
    folder = tiny_prompted.llava(tmp_path / "llava", width=64)
    plain = Captioner.from_pretrained(folder)
    small = Captioner.from_pretrained(folder, quantize=quantize, device="cpu")
    runtimes: list[Any] = [plain.runtime, small.runtime]
    sizes = [runtime._model.get_memory_footprint() for runtime in runtimes]
    assert sizes[1] < 0.5 * sizes[0]
    captions = small.caption(IMAGES, max_length=6, retry=False)
    assert captions[0].settings["dtype"] == f"{quantize} float32"
    if quantize == "int8":
        expected = plain.caption(IMAGES, max_length=6, retry=False)
        first = [[caption.tokens[0].id for caption in each] for each in (captions, expected)]
        assert first[0] == first[1]


def test_quantising_needs_a_package(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capgen.models.prompted.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="--quantize needs the package bitsandbytes"):
        Captioner.from_pretrained(saved("LLaVA"), quantize="int4")


def test_confidence(saved: Saved, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved("LLaVA"), tmp_path / "llava"))
    captioner = Captioner.from_pretrained(folder)
    options = {"beams": 3, "max_length": 8}
    settings, _ = captioner.settings(DecodeOptions(**options))
    found = list(observe(captioner, IMAGES, settings))
    assert all(isinstance(each, Observation) and each.finite for each in found)
    asked = captioner.prompting.asked
    fit = make_fit(tiny_prompted.WIDTH, settings=settings.to_dict(), asked=asked)
    store(captioner, fit)
    captioner = Captioner.from_pretrained(folder)
    captions = captioner.caption(IMAGES, confidence=True, retry=False, **options)
    assert all(0 <= caption.confidence <= 1 for caption in captions)
    with pytest.raises(ImageError, match="not confident enough"):
        captioner.caption(IMAGES[0], min_confidence=1.0, retry=False, **options)


def test_the_pipeline_captions_in_order(tmp_path: Path, captioners: Any) -> None:
    """Read, prepared in threads and captioned in batches, each image has its own caption."""
    paths = []
    for number, image in enumerate(IMAGES * 3):
        paths.append(tmp_path / f"{number}.png")
        image.save(paths[-1])
    captioner = captioners("Qwen2-VL")
    options = DecodeOptions(max_length=5, retry=False)
    sources = [named_source(str(path)) for path in paths]
    events = list(caption_all(captioner, sources, BatchRun(decoding=options)))
    texts = [done.record.text for done in events if isinstance(done, ImageDone)]
    alone = [captioner.caption(image, max_length=5, retry=False).text for image in IMAGES]
    assert texts == alone * 3


STARTS = ["a hot", "", "One big cat", "x"]
BEGINNERS = ["LLaVA", "Qwen2-VL", "Idefics3", "Gemma 3"]


def begun(captioner: Captioner, image: Image.Image, prompt: str, start: str) -> Any:
    """Inputs made by hand: the words of the start behind those of the prompt."""
    runtime: Any = captioner.runtime
    text = runtime._inputs.text(prompt).text + start
    inputs = runtime._inputs.processor(images=[image], text=[text], return_tensors="pt")
    return {name: each for name, each in inputs.items() if name != "labels"}


@pytest.mark.parametrize("kind", BEGINNERS)
@pytest.mark.parametrize("beams", [1, 3])
def test_answers_begin_with_the_start(kind: str, beams: int, captioners: Any) -> None:
    """In batches of different prompts and starts, as transformers continues such a text."""
    captioner = captioners(kind)
    runtime: Any = captioner.runtime
    prompts = ["Say all", "hi", "What is it, please?", "hi"]
    jobs = list(zip(IMAGES, prompts, STARTS, strict=False))
    settings = DecodeSettings(max_length=8, beams=beams, retry=False)
    found = runtime.generate([runtime.prepare(*job) for job in jobs], settings).hypotheses
    for (best, *_), job in zip(found, jobs, strict=True):
        inputs = begun(captioner, *job)
        with torch.inference_mode():
            theirs = runtime._model.generate(
                **inputs, max_new_tokens=8, do_sample=False, num_beams=beams
            )
        assert list(best.ids) == theirs[0, inputs["input_ids"].shape[1] :].tolist()[: len(best.ids)]
        assert runtime.decode([*best.prefix, *best.ids]).startswith(job[2])


@pytest.mark.parametrize("kind", ["LLaVA", "Qwen2-VL"])
def test_samples_begin_with_the_start(kind: str, saved: Saved) -> None:
    options = {"temperature": 1.3, "seed": 5, "max_length": 6, "num_captions": 2, "retry": False}
    captioner = Captioner.from_pretrained(saved(kind), prompt="hi", start_with="a hot")
    first, second = captioner.caption(IMAGES[:2], **options)
    assert first.tokens != second.tokens and first.alternatives
    assert captioner.caption(IMAGES[1], **options).tokens == second.tokens
    for one in (first, *first.alternatives, second, *second.alternatives):
        assert one.text.startswith("a hot") and len(one.tokens) <= 6


@pytest.mark.parametrize("kind", BEGINNERS)
@pytest.mark.parametrize(
    "way",
    [{}, {"beams": 3, "num_captions": 2}, {"temperature": 1.3, "num_captions": 2, "seed": 1}],
    ids=["greedy", "beams", "samples"],
)
def test_words_count_those_of_the_start(kind: str, way: dict[str, Any], saved: Saved) -> None:
    """They are parts of the caption: said already, or the first half of a phrase."""
    captioner = Captioner.from_pretrained(saved(kind), start_with="a cat, hot")
    options = {"beams": 1, **way} if "temperature" not in way else way
    # As many tokens as the phrase still needs: for saying "cat" again there would be no room.
    asked = captioner.caption(
        IMAGES[:3], include_words="cat,hot dog", max_length=4, retry=False, **options
    )
    for caption in asked:
        for one in (caption, *caption.alternatives):
            assert re.fullmatch(r"a cat, hot\s+dog(\W.*)?", one.text, re.I | re.S), one.text
        assert not [note for note in caption.notes if "could not" in note]


def test_avoided_phrases_may_begin_in_the_start(saved: Saved) -> None:
    captioner = Captioner.from_pretrained(saved("LLaVA"), start_with="One big")
    options: dict[str, Any] = {"beams": 1, "max_length": 5, "retry": False}
    phrase = captioner.caption(IMAGES[0], include_words="big dog", **options)
    assert re.match(r"One big\s+dog\b", phrase.text, re.I)
    for word in ("dog", "a"):
        asked = {"include_words": word, "avoid_words": f"big {word}"}
        caption = captioner.caption(IMAGES[0], **asked, **options)
        assert re.match(rf"One big.*\b{word}\b", caption.text, re.I | re.S), caption.text
        assert not re.search(rf"\bbig\s+{word}\b", caption.text, re.I)
        assert not [note for note in caption.notes if "could not" in note]


@pytest.fixture
def damaged(saved: Saved, tmp_path: Path) -> Path:
    """A LLaVA to damage."""
    return Path(shutil.copytree(saved("LLaVA"), tmp_path / "llava"))


def test_a_config_without_sizes_is_not_taken_for_a_model_of_billions(damaged: Path) -> None:
    kind = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]}
    (damaged / "config.json").write_text(json.dumps(kind))
    with pytest.raises(ModelError, match=r"config\.json describes a model with 7,\d{3},"):
        Captioner.from_pretrained(damaged)


def test_a_processor_that_does_not_work_is_the_models_fault(damaged: Path) -> None:
    file = damaged / "processor_config.json"
    settings = json.loads(file.read_text())
    settings["patch_size"] = "wide"
    file.write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="its processor cannot prepare an image"):
        Captioner.from_pretrained(damaged)


def test_parts_that_do_not_fit_together_are_the_models_fault(damaged: Path) -> None:
    file = damaged / "processor_config.json"
    settings = json.loads(file.read_text())
    settings["image_processor"]["crop_size"] = {"height": 96, "width": 96}
    settings["image_processor"]["size"] = {"shortest_edge": 96}
    file.write_text(json.dumps(settings))
    captioner = Captioner.from_pretrained(damaged)
    with pytest.raises(ModelError, match="it cannot caption"):
        captioner.caption(IMAGES[0])


def test_an_image_that_a_processor_cannot_take_is_one_failure(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner = Captioner.from_pretrained(saved("LLaVA"))
    inputs = captioner.runtime._inputs  # type: ignore[attr-defined]
    processor = inputs.processor

    def picky(images: list[Image.Image], **options: Any) -> Any:
        if images[0].size == IMAGES[1].size:
            raise TypeError("unexpected shape")
        return processor(images=images, **options)

    picky.tokenizer = processor.tokenizer  # type: ignore[attr-defined]
    monkeypatch.setattr(inputs, "processor", picky)
    records = list(captioner.stream(IMAGES[:3], DecodeOptions(max_length=4)))
    assert [isinstance(record, CaptionFailure) for record in records] == [False, True, False]
    assert "processor cannot prepare it (TypeError: unexpected shape)" in str(records[1])
