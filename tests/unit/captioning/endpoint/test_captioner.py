"""A Captioner whose model is on a server."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from capgen import Captioner, DecodeOptions, inspect_image
from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import Journal
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.endpoint import client as client_module
from capgen.config import KEY_VARIABLE, NAMED_PROMPTS, BatchOptions, resolve_served
from capgen.errors import EndpointError, ImageError, ModelError, UsageError
from capgen.explain.explain import explain, explains
from capgen.records import Caption, CaptionFailure, Usage, record_from_dict
from tests.chat_server import (
    ChatServer,
    Handler,
    answer,
    caption_of,
    chatting,
    half,
    says,
    sends,
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_FIRST_PAUSE", 0.001)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chatting() as state:
        yield state


def plain(*colour: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new("RGB", size, colour)


def folder_of(folder: Path, count: int) -> list[str]:
    """Write images of different colours, and return their captions."""
    captions = []
    for number in range(count):
        colour = (number * 7 % 256, number * 13 % 256, number % 256)
        plain(*colour).save(folder / f"{number:03}.png")
        captions.append("a picture of {} {} {}".format(*colour))
    return captions


class TestCaption:
    def test_text_tokens_score_and_usage(self, server: ChatServer) -> None:
        caption = Captioner.from_endpoint(server.url).caption(plain(1, 2, 3))
        assert caption.text == "a picture of 1 2 3"
        assert caption.log_probability == -3.0
        assert caption.score == -0.5
        assert [token.id for token in caption.tokens] == [None] * 6
        assert caption.words[2].text == "of"
        assert caption.usage == Usage(prompt_tokens=100, completion_tokens=10)
        assert (caption.model, caption.revision) == ("tiny", server.url)
        assert record_from_dict(caption.to_dict()) == caption

    def test_without_log_probabilities_they_are_null(self, server: ChatServer) -> None:
        server.log_probabilities = False
        caption = Captioner.from_endpoint(server.url).caption(plain(1, 2, 3))
        assert caption.text == "a picture of 1 2 3"
        assert not {"score", "log_probability"} & set(caption.to_dict())
        assert caption.tokens == ()
        assert record_from_dict(caption.to_dict()) == caption

    def test_what_the_model_thinks_is_left_out(self, server: ChatServer) -> None:
        server.prefix = "<think>a cat? no</think>\n"
        caption = Captioner.from_endpoint(server.url).caption(plain(1, 2, 3))
        assert caption.text == "a picture of 1 2 3"

    def test_prompt_and_system_are_asked_and_recorded(self, server: ChatServer) -> None:
        captioner = Captioner.from_endpoint(server.url, prompt="Colours?", system="Be brief.")
        caption = captioner.caption(plain(1, 2, 3))
        system, user = server.requests[0]["messages"]
        assert system == {"role": "system", "content": "Be brief."}
        assert user["content"][1] == {"type": "text", "text": "Colours?"}
        assert caption.settings["prompt"] == "Colours?"
        assert caption.settings["system"] == "Be brief."

    def test_by_default_one_sentence_is_asked_for(self, server: ChatServer) -> None:
        Captioner.from_endpoint(server.url).caption(plain(1, 2, 3))
        (user,) = server.requests[0]["messages"]
        assert user["content"][1]["text"] == NAMED_PROMPTS["caption"]
        Captioner.from_endpoint(server.url, prompt="tags").caption(plain(1, 2, 3))
        assert server.requests[1]["messages"][0]["content"][1]["text"] == NAMED_PROMPTS["tags"]

    def test_decoding_settings_in_the_protocols_words(self, server: ChatServer) -> None:
        captioner = Captioner.from_endpoint(server.url)
        captioner.caption(
            plain(1, 2, 3), temperature=0.7, top_p=0.9, seed=5, max_length=40, num_captions=3
        )
        sent = {name: value for name, value in server.requests[0].items() if name != "messages"}
        assert sent == {
            "model": "tiny",
            "stream": False,
            "max_tokens": 40,
            "logprobs": True,
            "temperature": 0.7,
            "top_p": 0.9,
            "seed": 5,
            "n": 3,
        }
        captioner.caption(plain(1, 2, 3))
        assert server.requests[1]["temperature"] == 0
        assert "seed" not in server.requests[1]

    def test_a_server_that_gives_one_at_a_time_is_asked_again(self, server: ChatServer) -> None:
        server.most = 1
        caption = Captioner.from_endpoint(server.url).caption(
            plain(1, 2, 3), temperature=1.0, num_captions=3, seed=0
        )
        texts = {caption.text, *(other.text for other in caption.alternatives)}
        assert texts == {"a picture of 1 2 3", "a picture of 1 2 3 (1)", "a picture of 1 2 3 (2)"}
        assert [asked["seed"] for asked in server.requests] == [0, 1, 2]
        assert caption.usage == Usage(prompt_tokens=300, completion_tokens=30)

    def test_a_caption_that_was_cut_off_says_so(self, server: ChatServer) -> None:
        server.script = [sends(answer("a picture of a", ended="length"))]
        caption = Captioner.from_endpoint(server.url).caption(plain(1, 2, 3), max_length=4)
        assert caption.text == "a picture of a"
        assert caption.notes == ("cut off at max_length 4",)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (answer(""), "empty"),
            (answer("I can", ended="content_filter"), "filter"),
            (answer("<think>a long thought", ended="length"), "had not begun to answer"),
            (
                {"choices": [{"message": {"content": None, "refusal": "I cannot help"}}]},
                "I cannot help",
            ),
        ],
    )
    def test_no_caption(self, server: ChatServer, content: Any, message: str) -> None:
        server.script = [sends(content)]
        with pytest.raises(ImageError, match=message) as caught:
            Captioner.from_endpoint(server.url).caption(plain(1, 2, 3))
        assert caught.value.code == "endpoint"


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "flag"),
        [
            ({"beams": 3}, "--beams"),
            ({"top_k": 5}, "--top-k"),
            ({"no_repeat_ngram_size": 2}, "--no-repeat-ngram-size"),
            ({"repetition_penalty": 1.2}, "--repetition-penalty"),
            ({"length_penalty": 0.5}, "--length-penalty"),
            ({"min_length": 5}, "--min-length"),
            ({"diverse": 3}, "--diverse"),
            ({"num_captions": 2}, "--num-captions"),
        ],
    )
    def test_what_the_protocol_lacks_is_refused(
        self, server: ChatServer, options: dict[str, Any], flag: str
    ) -> None:
        with pytest.raises(UsageError, match=flag):
            Captioner.from_endpoint(server.url).caption(plain(1, 2, 3), **options)
        assert not server.requests

    def test_words_to_avoid_have_a_hint_of_what_works_instead(self) -> None:
        with pytest.raises(UsageError, match="--avoid-words") as caught:
            resolve_served(DecodeOptions(avoid_words="watermark"))
        assert "--replace" in caught.value.hint

    def test_one_beam_is_greedy(self) -> None:
        assert resolve_served(DecodeOptions(beams=1)) == resolve_served(DecodeOptions())

    @pytest.mark.parametrize(
        "options", [{"device": "cuda"}, {"dtype": "bf16"}, {"runtime": "onnx"}, {"revision": "r"}]
    )
    def test_what_is_about_local_models_is_refused(
        self, server: ChatServer, options: dict[str, Any]
    ) -> None:
        with pytest.raises(UsageError, match="on a server"):
            Captioner.from_endpoint(server.url, **options)

    def test_of_several_models_one_must_be_named(self, server: ChatServer) -> None:
        server.models = ["one", "two"]
        with pytest.raises(UsageError, match="2 models") as caught:
            Captioner.from_endpoint(server.url)
        assert "one, two" in caught.value.hint
        assert Captioner.from_endpoint(server.url, "two").name == "two"

    def test_a_server_that_lists_none(self, server: ChatServer) -> None:
        server.models = []
        with pytest.raises(EndpointError, match="no model"):
            Captioner.from_endpoint(server.url)
        server.models = None
        with pytest.raises(EndpointError, match="does not tell"):
            Captioner.from_endpoint(server.url)
        assert Captioner.from_endpoint(server.url, "any").caption(plain(1, 2, 3)).model == "any"

    def test_an_address_in_place_of_a_model(self, server: ChatServer) -> None:
        captioner = Captioner.from_pretrained(f"{server.url}#tiny")
        assert captioner.caption(plain(1, 2, 3)).model == "tiny"

    @pytest.mark.parametrize("options", [{"concurrency": 0}, {"timeout": 0}, {"send_size": 1}])
    def test_ranges(self, server: ChatServer, options: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="must be"):
            Captioner.from_endpoint(server.url, **options)


class TestImages:
    def test_images_are_made_small_and_have_no_metadata(
        self, server: ChatServer, tmp_path: Path
    ) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (300, 600, 3), np.uint8)
        image = Image.fromarray(noise)
        exif = image.getexif()
        exif[0x010E] = "my address"
        exif[0x0112] = 6  # turned
        path = tmp_path / "private.jpg"
        image.save(path, exif=exif, comment=b"my name", icc_profile=b"my screen")
        Captioner.from_endpoint(server.url, send_size=200).caption(path)
        (sent,) = server.images
        with Image.open(BytesIO(sent)) as seen:
            assert seen.format == "JPEG"
            assert seen.size == (100, 200)  # upright
            assert not seen.getexif()
            assert set(seen.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert b"my " not in sent
        assert b"private.jpg" not in sent

    def test_small_images_are_not_enlarged(self, server: ChatServer) -> None:
        Captioner.from_endpoint(server.url).caption(plain(1, 2, 3, size=(7, 5)))
        with Image.open(BytesIO(server.images[0])) as seen:
            assert seen.size == (7, 5)

    def test_images_of_few_colours_are_sent_without_loss(self, server: ChatServer) -> None:
        Captioner.from_endpoint(server.url).caption(plain(1, 2, 3))
        assert server.images[0].startswith(b"\x89PNG")

    def test_extreme_shapes(self, server: ChatServer) -> None:
        Captioner.from_endpoint(server.url, send_size=64).caption(plain(1, 2, 3, size=(4000, 1)))
        with Image.open(BytesIO(server.images[0])) as seen:
            assert seen.size == (64, 1)


class TestWhatAServerCannotDo:
    def test_nothing_is_sent_for_what_cannot_be_explained(self, server: ChatServer) -> None:
        captioner = Captioner.from_endpoint(server.url)
        image = plain(1, 2, 3)
        assert not explains(captioner)
        with pytest.raises(ModelError, match="attention"):
            captioner.caption(image, return_attention=True)
        with pytest.raises(ModelError, match="attention"):
            inspect_image(captioner, image)
        assert not server.requests
        with pytest.raises(ModelError, match="attention"):
            explain(captioner, image, captioner.caption(image))

    def test_it_has_no_folder(self, server: ChatServer) -> None:
        with pytest.raises(ModelError, match="no folder"):
            _ = Captioner.from_endpoint(server.url).folder

    def test_a_minimum_confidence_needs_a_calibration(self, server: ChatServer) -> None:
        with pytest.raises(UsageError, match="not calibrated"):
            Captioner.from_endpoint(server.url).caption(plain(1, 2, 3), min_confidence=0.5)


def test_a_captioner_can_be_pickled(server: ChatServer) -> None:
    captioner = pickle.loads(pickle.dumps(Captioner.from_endpoint(server.url, prompt="Colours?")))
    assert captioner.caption(plain(1, 2, 3)).settings["prompt"] == "Colours?"


class TestMany:
    def test_several_images_are_asked_side_by_side_and_come_in_order(
        self, server: ChatServer
    ) -> None:
        arrived, waiting = threading.Semaphore(0), threading.Event()
        server.held = waiting
        captioner = Captioner.from_endpoint(server.url, concurrency=4)
        images = [plain(number, 2, 3) for number in range(10)]
        done: list[list[Caption]] = []

        def work() -> None:
            done.append(captioner.caption(images))
            arrived.release()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        while server.busy[0] < 4:
            assert thread.is_alive()
        waiting.set()
        assert arrived.acquire(timeout=60)
        assert [caption.text for caption in done[0]] == [f"a picture of {n} 2 3" for n in range(10)]
        assert server.busy[1] == 4

    def test_a_failure_is_its_images_alone(self, server: ChatServer, tmp_path: Path) -> None:
        captions = folder_of(tmp_path, 9)
        bad = captions[4]

        def refuses(content: dict[str, Any]) -> Any:
            import base64

            url = content["messages"][-1]["content"][0]["image_url"]["url"]
            data = base64.b64decode(url.partition(",")[2])
            return says(400, "unsafe") if caption_of(data) == bad else None

        server.refuses = refuses
        captioner = Captioner.from_endpoint(server.url)
        records = list(captioner.stream(sorted(tmp_path.glob("*.png"))))
        texts = [record.text for record in records if isinstance(record, Caption)]
        assert texts == [text for text in captions if text != bad]
        failure = records[4]
        assert isinstance(failure, CaptionFailure)
        assert failure.code == "endpoint"
        assert failure.message == f"{tmp_path / '004.png'}: the server refuses it (400: unsafe)"
        assert failure.model == "tiny"

    def test_batches_keep_all_requests_in_flight_and_events_in_order(
        self, server: ChatServer, tmp_path: Path
    ) -> None:
        captions = folder_of(tmp_path, 40)
        captioner = Captioner.from_endpoint(server.url, concurrency=6)
        barrier = threading.Barrier(6)
        server.script = [lambda handler: (barrier.wait(60), half(handler))[1]] * 6
        done, finished = run(captioner, tmp_path)
        assert [record.text for record in done if isinstance(record, Caption)] == captions
        assert finished.captions == 40
        assert server.busy[1] == 6

    def test_faults_that_may_pass_are_tried_again_by_the_next_run(
        self, server: ChatServer, tmp_path: Path
    ) -> None:
        captions = folder_of(tmp_path, 6)
        captioner = Captioner.from_endpoint(server.url, retries=0, concurrency=1)
        journal = tmp_path / "j.journal"
        server.script = [says(500), says(400, "bad")]
        before, first = run(captioner, tmp_path, journal)
        assert first.failures == {"unavailable": 1, "endpoint": 1}
        codes = [getattr(record, "code", "") for record in before]  # requests come in any order
        done, second = run(captioner, tmp_path, journal)
        assert second.failures == {"endpoint": 1}
        assert (second.captions, second.reused) == (5, 5)
        texts = [record.text for record in done if isinstance(record, Caption)]
        refused = codes.index("endpoint")
        assert texts == captions[:refused] + captions[refused + 1 :]
        assert len(server.requests) == 7

    @pytest.mark.parametrize("change", ["prompt", "system", "model", "send_size", "port"])
    def test_prompt_model_size_and_address_are_part_of_the_journals_key(
        self, server: ChatServer, tmp_path: Path, change: str
    ) -> None:
        folder_of(tmp_path, 3)
        server.models = ["tiny", "other"]
        journal = tmp_path / "j.journal"
        run(Captioner.from_endpoint(server.url, "tiny"), tmp_path, journal)
        other = {"prompt": "Colours?", "system": "Be brief.", "send_size": 99}
        with chatting(ChatServer(models=["tiny", "other"])) as second:
            captioner = Captioner.from_endpoint(
                second.url if change == "port" else server.url,
                "other" if change == "model" else "tiny",
                **({change: other[change]} if change in other else {}),
            )
            _, finished = run(captioner, tmp_path, journal)
        assert finished.reused == 0
        _, again = run(Captioner.from_endpoint(server.url, "tiny"), tmp_path, journal)
        assert again.reused == 3

    def test_an_address_with_a_password_is_the_same_work(
        self, server: ChatServer, tmp_path: Path
    ) -> None:
        folder_of(tmp_path, 3)
        journal = tmp_path / "j.journal"
        secret = server.url.replace("http://", "http://me:hunter2@")
        run(Captioner.from_endpoint(secret), tmp_path, journal)
        assert b"hunter2" not in journal.read_bytes()
        _, finished = run(Captioner.from_endpoint(server.url), tmp_path, journal)
        assert finished.reused == 3

    def test_what_is_done_is_kept_while_an_older_image_waits(
        self, server: ChatServer, tmp_path: Path
    ) -> None:
        folder_of(tmp_path, 9)
        journal, free = tmp_path / "j.journal", threading.Event()

        def first(handler: Handler) -> None:
            assert free.wait(60)
            handler.send_json(answer("late"))

        server.script = [first]
        captioner = Captioner.from_endpoint(server.url, concurrency=2)
        thread = threading.Thread(target=run, args=(captioner, tmp_path, journal), daemon=True)
        thread.start()
        while not journal.exists() or journal.read_bytes().count(b"\n") < 8:
            assert thread.is_alive()
        free.set()
        thread.join(60)
        assert journal.read_bytes().count(b"\n") == 9

    def test_a_server_that_goes_away_ends_the_run_and_what_is_done_is_kept(
        self, server: ChatServer, tmp_path: Path
    ) -> None:
        folder_of(tmp_path, 30)
        journal = tmp_path / "j.journal"
        captioner = Captioner.from_endpoint(server.url, retries=0, concurrency=2)
        count = iter(range(1000))
        server.refuses = lambda content: None if next(count) < 10 else says(503, "gone")
        with pytest.raises(EndpointError, match="in a row"):
            run(captioner, tmp_path, journal)
        # What was in flight is abandoned; nothing more is sent.
        for thread in threading.enumerate():
            if thread.name == "capgen-request":
                joined(thread)
        server.refuses = lambda content: None
        _, finished = run(captioner, tmp_path, journal)
        assert (finished.captions, finished.reused) == (30, 10)
        assert set(server.answered.values()) == {1}


def joined(thread: threading.Thread) -> None:
    """Wait for the end of a thread, which another one may be about to start."""
    while True:
        try:
            return thread.join(60)
        except RuntimeError:  # not started yet
            continue


def run(
    captioner: Captioner, folder: Path, journal: Path | None = None
) -> tuple[list[Caption | CaptionFailure], BatchFinished]:
    settings, _ = captioner.settings(DecodeOptions())
    recorded = captioner.record_settings(settings)
    opened = (
        None
        if journal is None
        else Journal(journal, captioner.name, captioner.model.fingerprint, recorded)
    )
    options = BatchRun(options=BatchOptions(workers=2), journal=opened)
    try:
        *done, finished = caption_all(captioner, Inputs([str(folder)]), options)
    finally:
        if opened is not None:
            opened.close()
    assert isinstance(finished, BatchFinished)
    return [event.record for event in done if isinstance(event, ImageDone)], finished
