"""Captions that begin with given words: both runtimes, and transformers' own `generate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from capgen import Captioner
from capgen.captioning.batch.journal import Journal
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import FileSource
from capgen.cli.main import main
from capgen.config import DecodeOptions
from capgen.errors import UsageError
from capgen.models.checkpoint import save_captioning
from capgen.models.onnx.export import export_onnx
from capgen.models.provenance import Provenance
from capgen.records import Caption, CaptionFailure, Record
from tests import tiny_captioners
from tests.fakes import draw_image
from tests.integration.captioning.test_runtimes import SETTINGS, assert_same

PROMPT = "a photo of"
TINY = "a dog on"
# transformers 5.17 counts the image's cells among the positions of GIT's words.
OLD = tuple(map(int, transformers.__version__.split(".")[:2])) < (5, 23)
GIT = pytest.param(
    "GIT", marks=pytest.mark.skipif(OLD, reason="GIT is broken in transformers 5.17")
)
IMAGES = [draw_image(seed, (60, 40)) for seed in range(4)]


@pytest.fixture(scope="module")
def onnx() -> Captioner:
    return Captioner.from_pretrained(prompt=PROMPT)


@pytest.fixture(scope="module")
def in_torch() -> Captioner:
    return Captioner.from_pretrained(prompt=PROMPT, runtime="torch", device="cpu")


def vision_encoder_decoder(folder: Path) -> Path:
    made = tiny_captioners.captioning(tiny_captioners.vit())
    save_captioning(folder, made, Provenance())
    export_onnx(folder, made.model, image_size=(32, 32))
    return folder


KINDS: dict[str, Callable[[Path], Path]] = {
    "GPT-2": vision_encoder_decoder,
    "BLIP": tiny_captioners.blip,
    "GIT": tiny_captioners.git,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("prompted")
    return {kind: make(folder / kind) for kind, make in KINDS.items()}


@pytest.mark.parametrize("name", SETTINGS)
def test_both_runtimes_begin_and_go_on_alike(
    name: str, onnx: Captioner, in_torch: Captioner, images: list[Path]
) -> None:
    options = dict(SETTINGS[name])
    if name == "as short as can be":
        options["max_length"] = 5  # start, three words, and one more
    ours = onnx.caption(images[:2], **options)
    assert_same(ours, in_torch.caption(images[:2], **options))
    for caption in ours:
        assert caption.settings["prompt"] == PROMPT
        penalty = caption.settings["length_penalty"]
        for one in (caption, *caption.alternatives):
            assert one.text == PROMPT or one.text.startswith(PROMPT + " ")
            assert len(one.tokens) <= caption.settings["max_length"] - 4
            assert one.score == pytest.approx(one.log_probability / len(one.tokens) ** penalty)
            assert " ".join((PROMPT, *(word.text for word in one.words))) == one.text


def ids_of(caption: Caption) -> list[list[int]]:
    return [[token.id for token in one.tokens] for one in (caption, *caption.alternatives)]


def generated(
    captioner: Captioner, image: Any, fed: list[int], **options: Any
) -> tuple[list[list[int]], list[float]]:
    """What transformers' own `generate` adds to a prefix, without a cache."""
    runtime: Any = captioner.runtime
    model, kind = runtime._model, captioner.folder.config["model_type"]
    pixels = torch.from_numpy(runtime.preprocessor.preprocess(image))[None]
    name = "decoder_input_ids" if kind == "vision-encoder-decoder" else "input_ids"
    ids = torch.tensor([[*fed, 0] if kind == "blip" else fed])  # BLIP takes off an end token
    with torch.inference_mode():
        found = model.generate(
            pixel_values=pixels,
            **{name: ids},
            use_cache=False,
            max_new_tokens=None,
            return_dict_in_generate=True,
            output_scores=True,
            **options,
        )
    ends = runtime._ends
    rows = []
    for row in found.sequences.tolist():
        row = row[len(fed) :]
        end = next((n for n, token in enumerate(row) if token in ends), len(row))
        rows.append(row[: end + 1])
    scores = getattr(found, "sequences_scores", None)
    return rows, [] if scores is None else scores.tolist()


FED = {"BLIP": [5, 6, 7, 11], "GIT": [2, 6, 7, 11], "GPT-2": [256]}
OPTIONS = [
    {"num_beams": 1},
    {"num_beams": 5, "num_return_sequences": 5},
    {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 2.0},
    {"num_beams": 3, "num_return_sequences": 3, "repetition_penalty": 1.4, "min_length": 11},
    {"num_beams": 3, "num_return_sequences": 3, "no_repeat_ngram_size": 2},
    {"num_beams": 3, "num_return_sequences": 3, "max_length": 10},
]
OURS = {"num_beams": "beams", "num_return_sequences": "num_captions"}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["GPT-2", "BLIP", GIT])
def test_it_is_what_transformers_generates(
    kind: str, options: dict[str, Any], saved: dict[str, Path]
) -> None:
    options = {"max_length": 14, "length_penalty": 1.0, **options}
    captioner = Captioner.from_pretrained(saved[kind], prompt=TINY, runtime="torch", device="cpu")
    fed = FED[kind] + (captioner.runtime._tokenizer(TINY)["input_ids"] if kind == "GPT-2" else [])
    asked = {OURS.get(name, name): value for name, value in options.items()}
    both = [captioner]
    if kind == "GPT-2":
        both.append(Captioner.from_pretrained(saved[kind], prompt=TINY, runtime="onnx"))
    for image in IMAGES[:2]:
        rows, scores = generated(captioner, image, fed, **options)
        for each in both:
            caption = each.caption(image, retry=False, repeat_nouns=True, **asked)
            assert ids_of(caption) == rows
            found = [caption.score, *(one.score for one in caption.alternatives)]
            assert found == pytest.approx(scores or found, abs=1e-4)


@pytest.mark.parametrize("kind", ["GPT-2", "BLIP", GIT])
def test_probabilities_are_those_of_one_uncached_pass(kind: str, saved: dict[str, Path]) -> None:
    captioner = Captioner.from_pretrained(saved[kind], prompt=TINY, runtime="torch", device="cpu")
    runtime: Any = captioner.runtime
    model, image = runtime._model, IMAGES[0]
    fed = FED[kind] + (runtime._tokenizer(TINY)["input_ids"] if kind == "GPT-2" else [])
    caption = captioner.caption(image, beams=3, retry=False, repeat_nouns=True)
    ids = torch.tensor([[*fed, *(token.id for token in caption.tokens)]])
    pixels = torch.from_numpy(runtime.preprocessor.preprocess(image))[None]
    name = "decoder_input_ids" if kind == "GPT-2" else "input_ids"
    with torch.inference_mode():
        logits = model(pixel_values=pixels, **{name: ids}).logits[0, -ids.shape[1] :]
    log_probs = torch.log_softmax(logits[:-1], -1).gather(1, ids[0, 1:, None])[:, 0]
    expected = [token.log_probability for token in caption.tokens]
    assert log_probs[len(fed) - 1 :].tolist() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
@pytest.mark.parametrize("options", [{"beams": 5, "num_captions": 2}, {"temperature": 1.2}])
def test_samples_and_beams_do_not_depend_on_the_batch(
    runtime: str, options: dict[str, Any], images: list[Path]
) -> None:
    captioner = Captioner.from_pretrained(prompt=PROMPT, runtime=runtime, device="cpu")
    options = {"seed": 4, **options} if "temperature" in options else options
    together = captioner.caption(images[:4], **options)
    assert_same(together, [captioner.caption(image, **options) for image in images[:4]])


STARTS = ("a photo of", "", "two dogs", "a photo of", "people")


@pytest.fixture(scope="module", params=["onnx", "torch"])
def starting(request: pytest.FixtureRequest) -> dict[str, Captioner]:
    """A captioner for each of `STARTS`."""
    return {
        start: Captioner.from_pretrained(prompt=start, runtime=request.param, device="cpu")
        for start in STARTS
    }


@pytest.mark.parametrize("options", [{"beams": 3}, {"beams": 1}, {"temperature": 1.0, "seed": 2}])
def test_a_batch_may_begin_differently(
    starting: dict[str, Captioner], options: dict[str, Any], images: list[Path]
) -> None:
    prepared = [
        starting[start].prepare(image) for start, image in zip(STARTS, images, strict=False)
    ]
    anyone = starting["two dogs"]
    settings, _ = anyone.settings(DecodeOptions(**options))
    together = anyone.runtime.generate([item.input for item in prepared], settings)
    for place, item in enumerate(prepared):
        alone = anyone.runtime.generate([item.input], settings)
        one, other = together.hypotheses[place][0], alone.hypotheses[0][0]
        assert (one.ids, one.prefix) == (other.ids, other.prefix)
        assert one.score == pytest.approx(other.score, abs=1e-4)
        np.testing.assert_allclose(together.summarise()[place], alone.summarise()[0], atol=1e-4)
    assert len({found[0].prefix for found in together.hypotheses}) == 4


def test_where_it_looked_and_what_it_weighed_up(
    onnx: Captioner, in_torch: Captioner, images: list[Path]
) -> None:
    """A replay of the caption is of its generated tokens, behind the given ones."""
    ours, theirs = (one.caption(images[3], return_attention=True) for one in (onnx, in_torch))
    assert ours.attention is not None and theirs.attention is not None
    assert len(ours.attention) == len(ours.words)
    np.testing.assert_allclose(ours.attention, theirs.attention, atol=1e-4)
    ids = [token.id for token in ours.tokens]
    expected = [token.log_probability for token in ours.tokens]
    for captioner in (onnx, in_torch):
        replayed = captioner.runtime.replay(captioner.prepare(images[3]).input, ids)
        assert replayed.log_probs.shape[0] == replayed.attention.shape[0] == len(ids)
        found = replayed.log_probs[range(len(ids)), ids]
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_start_with_is_the_same(onnx: Captioner, images: list[Path]) -> None:
    started = Captioner.from_pretrained(start_with="  a  photo of ")
    one, other = onnx.caption(images[0]), started.caption(images[0])
    assert (one.text, one.tokens) == (other.text, other.tokens)
    assert other.settings["start_with"] == PROMPT and "prompt" not in other.settings
    with pytest.raises(UsageError, match="--prompt and --start-with are the same"):
        Captioner.from_pretrained(prompt="a", start_with="b")


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
class TestWords:
    """What is made of the user's words."""

    def load(self, runtime: str, prompt: str) -> Captioner:
        return Captioner.from_pretrained(prompt=prompt, runtime=runtime, device="cpu")

    def test_spaces_and_case_change_nothing(self, runtime: str, images: list[Path]) -> None:
        plain = self.load(runtime, "a photo of").caption(images[0])
        written = self.load(runtime, "A  Photo of \n").caption(images[0])
        assert written.tokens == plain.tokens
        assert written.text == "A Photo of" + plain.text.removeprefix("a photo of")

    def test_names_of_special_tokens_are_text(self, runtime: str, images: list[Path]) -> None:
        caption = self.load(runtime, "a dog </s> on").caption(images[0])
        assert caption.text.startswith("a dog </s> on ")
        captioner = self.load(runtime, "a dog </s> on")
        assert not {0, 1, 2} & set(captioner.runtime.token_ids("a dog </s> <s> <pad> on"))

    def test_words_that_the_model_lacks_are_noted(self, runtime: str, images: list[Path]) -> None:
        caption = self.load(runtime, "a qwxyz of").caption(images[0])
        assert any("it cannot heed them: 'qwxyz'" in note for note in caption.notes)
        assert caption.text.startswith("a qwxyz of ")

    def test_too_many_words(self, runtime: str, images: list[Path]) -> None:
        with pytest.raises(UsageError, match="that is 21 tokens, and a caption has at most 22"):
            self.load(runtime, "dog " * 21).caption(images[0])
        assert self.load(runtime, "dog " * 20).caption(images[0]).tokens
        with pytest.raises(UsageError, match="that is 3 tokens, and a caption has at most 4"):
            self.load(runtime, PROMPT).caption(images[0], max_length=4)
        with pytest.raises(UsageError, match="has no tokens for it"):
            self.load(runtime, "!!!").caption(images[0])

    def test_a_message_is_refused(self, runtime: str) -> None:
        with pytest.raises(UsageError, match="--prompt alt is a message"):
            self.load(runtime, "alt")


def test_bytes_and_pieces_go_on_where_the_words_end(saved: dict[str, Path]) -> None:
    """No space at the end: "a dog on " would be a piece that no training caption has."""
    captioner = Captioner.from_pretrained(saved["GPT-2"], prompt=" é <|endoftext|> ")
    text = "é <|endoftext|>".encode()
    assert len(captioner.runtime.token_ids("é <|endoftext|>")) == len(text)
    caption = captioner.caption(IMAGES[0], max_length=30)
    assert caption.text.startswith("é <|endoftext|>")


def test_no_confidence_by_a_fit_without_the_prompt(onnx: Captioner, images: list[Path]) -> None:
    caption = onnx.caption(images[0], confidence=True)
    assert caption.confidence is None
    assert "no confidence: mini is calibrated without this prompt" in caption.notes
    with pytest.raises(UsageError, match="--min-confidence: mini is calibrated without this"):
        onnx.caption(images[0], min_confidence=0.1)


def test_nouns_of_the_start_are_used_up(images: list[Path]) -> None:
    for runtime in ("onnx", "torch"):
        captioner = Captioner.from_pretrained(prompt="a dog and a", runtime=runtime, device="cpu")
        for caption in captioner.caption(images[:6], beams=3):
            assert caption.text.split().count("dog") == 1


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two folders with images: one twice under other names, two with metadata."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 10:11:12"
    exif[0x010E] = "two dogs"
    paths = [tmp_path / name for name in ("dogs/man.png", "dogs/woman.png", "cats/man.png")]
    for path in (*paths, tmp_path / "cats" / "told.jpg", tmp_path / "cats" / "long.jpg"):
        path.parent.mkdir(exist_ok=True)
        IMAGES[0].save(path)
    IMAGES[1].save(tmp_path / "cats" / "told.jpg", exif=exif)
    exif[0x010E] = "dog " * 40
    IMAGES[1].save(tmp_path / "cats" / "long.jpg", exif=exif)
    return [*paths, tmp_path / "cats" / "told.jpg", tmp_path / "cats" / "long.jpg"]


class TestPlaceholders:
    """Prompts that are filled in for each image."""

    def test_names_and_metadata(self, photos: list[Path]) -> None:
        for runtime in ("onnx", "torch"):
            captioner = Captioner.from_pretrained(
                prompt="a {file} and {caption} in {{", runtime=runtime, device="cpu"
            )
            *records, told, failed = captioner.stream(photos)
            asked = ["a man and in {", "a woman and in {", "a man and in {"]
            assert [one.prompt for one in records if isinstance(one, Caption)] == asked
            assert isinstance(told, Caption) and told.prompt == "a told and two dogs in {"
            assert told.text.startswith("a told and two dogs in { ")
            assert told.settings["prompt"] == "a {file} and {caption} in {{"
            assert Caption.from_dict(told.to_dict()).prompt == told.prompt
            assert isinstance(failed, CaptionFailure) and failed.code == "prompt"
            assert failed.message.startswith(f"{photos[-1]}: Captions cannot begin with 'a long")
            assert failed.settings == told.settings

    def test_bytes_and_images_in_memory(self, photos: list[Path]) -> None:
        captioner = Captioner.from_pretrained(start_with="{date} {file} {caption}")
        captions = captioner.caption([photos[3].read_bytes(), IMAGES[0]])
        assert captions[0].text.startswith("2024-05-31 two dogs ")
        plain = Captioner.from_pretrained().caption(IMAGES[0])
        assert captions[1].text == plain.text and captions[1].prompt is None
        assert captioner.caption(photos[3]).text.startswith("2024-05-31 told two dogs ")

    def test_words_that_are_not_known_are_noted_where_they_are(self, photos: list[Path]) -> None:
        captioner = Captioner.from_pretrained(prompt="{caption} {folder}")
        cats, told = captioner.caption([photos[2], photos[3]])
        assert not cats.notes and not told.notes
        unknown = photos[0].parent.parent / "qwxyz" / "a.png"
        unknown.parent.mkdir()
        IMAGES[0].save(unknown)
        cats, other = captioner.caption([photos[2], unknown])
        assert not cats.notes
        assert other.notes == ("not in the model's vocabulary, so it cannot heed them: 'qwxyz'",)

    def test_without_a_prompt_records_are_as_before(self, photos: list[Path]) -> None:
        caption = Captioner.from_pretrained().caption(photos[0])
        assert caption.prompt is None and "prompt" not in caption.to_dict()
        assert not {"prompt", "start_with", "system"} & set(caption.settings)

    @pytest.mark.parametrize(
        ("prompt", "known"), [("a {file}", 2), ("a {folder}", 2), ("a {date} man", 3), ("a", 3)]
    )
    def test_a_record_is_not_reused_for_another_name(
        self, prompt: str, known: int, photos: list[Path], tmp_path: Path
    ) -> None:
        """The images are the same bytes; two have the same name, two the same folder."""
        captioner = Captioner.from_pretrained(prompt=prompt)

        def run(paths: list[Path]) -> tuple[list[Record], int]:
            settings, _ = captioner.settings(DecodeOptions())
            journal = Journal(
                tmp_path / "journal",
                captioner.name,
                captioner.folder.fingerprint,
                captioner.record_settings(settings),
                name_key=captioner.prompting.name_key,
            )
            sources = [FileSource(str(path)) for path in paths]
            *done, finished = caption_all(captioner, sources, BatchRun(journal=journal))
            journal.close()
            assert isinstance(finished, BatchFinished)
            records = [event.record for event in done if isinstance(event, ImageDone)]
            return records, finished.reused

        _, reused = run(photos[:1])
        assert reused == 0
        records, reused = run(photos[:3])
        assert reused == known
        again, reused = run(photos[:3])
        assert reused == 3 and again == records
        fresh = captioner.caption(list(photos[:3]))
        assert [one.text for one in fresh] == [
            one.text for one in records if isinstance(one, Caption)
        ]


def test_what_a_command_is_asked(photos: list[Path], home: Path, capsys: Any) -> None:
    """The whole way: a prompt with a name, in a file of records, and a resumed run."""
    assert main(["config", "set", "prompts.who", "a {file} with"]) == 0
    output = photos[0].parent.parent / "out.jsonl"
    command = ["caption", *map(str, photos[:3]), "--prompt", "who", "-o", str(output)]
    assert main(command) == 0
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [record["prompt"] for record in records] == ["a man with", "a woman with", "a man with"]
    assert all(record["caption"].startswith(record["prompt"] + " ") for record in records)
    assert all(record["settings"]["prompt"] == "a {file} with" for record in records)
    photos[1].rename(photos[1].with_name("boy.png"))
    command[2] = str(photos[1].with_name("boy.png"))
    capsys.readouterr()
    assert main(command) == 0
    again = [json.loads(line) for line in output.read_text().splitlines()]
    assert [again[0], again[2]] == [records[0], records[2]]
    assert again[1]["caption"].startswith("a boy with ")
    assert main(["caption", str(photos[0]), "--prompt", "a {fiel}"]) == 2
    assert "Did you mean 'file'?" in capsys.readouterr().err
    assert main(["caption", str(photos[0]), "--prompt", "tags"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "--prompt tags is a message" in told and "capgen models list --known" in told


def test_notes_on_each_image_do_not_flood_the_screen(tmp_path: Path, capsys: Any) -> None:
    for number in range(30):
        IMAGES[0].save(tmp_path / f"qwxyz{number}.png")
    assert main(["caption", str(tmp_path), "--prompt", "a {file} in", "--beams", "1"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert len(lines) == 21
    assert lines[-1] == "note: further notes are in the records"
