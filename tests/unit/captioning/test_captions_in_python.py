"""What Python gets: captions that print as their text, typed options, whole records."""

from __future__ import annotations

import dataclasses
import hashlib
import html
import re
from typing import Any, get_type_hints

import numpy as np
import pytest

from capgen import Captioner
from capgen.config import DecodeOptions, ModelOptions, TrainConfig, train_config
from capgen.config.keywords import DecodeKeywords, ModelKeywords
from capgen.config.training_keywords import MachineKeywords, TrainKeywords
from capgen.errors import UsageError
from capgen.records import Caption
from tests.colours import colour_captioner, plain


def test_a_caption_prints_as_its_text() -> None:
    caption = Caption(text="a dog", log_probability=None, score=None)
    assert str(caption) == f"{caption}" == "a dog"
    assert "Caption(" in repr(caption)


def test_a_notebook_shows_image_caption_and_confidence() -> None:
    text, path = '<script>alert("1")</script> & co', 'a"b<c>.png'
    caption = Caption(
        path=path, text=text, log_probability=None, score=None, confidence=0.254, thumbnail=b"web"
    )
    shown = caption._repr_html_()
    assert '<img src="data:image/webp;base64,d2Vi"' in shown and "confidence 0.25" in shown
    assert "<script" not in shown and shown.count(html.escape(text)) == 2
    assert html.escape(path) in shown
    assert set(re.findall(r"<(/?\w+)", shown)) == {
        *("figure", "/figure", "img", "figcaption", "/figcaption", "small", "/small"),
    }
    bare = dataclasses.replace(caption, confidence=None, thumbnail=None)._repr_html_()
    assert "img" not in bare and "confidence" not in bare


def test_records_hold_what_those_of_the_command_do(tmp_path: Any) -> None:
    captioner, _ = colour_captioner()
    path = plain(tmp_path, "a.png", 9)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    for image, expected in ((path, digest), (data, digest), (np.zeros((4, 4), np.uint8), None)):
        caption = captioner.caption(image)
        assert (caption.sha256, caption.revision) == (expected, captioner.model.fingerprint)
        assert caption.thumbnail is not None and caption.thumbnail[8:12] == b"WEBP"
        assert "thumbnail" not in caption.to_dict()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"x")
    (streamed, failure) = captioner.stream([path, broken])
    assert isinstance(streamed, Caption) and streamed.thumbnail is None
    assert (streamed.sha256, failure.sha256) == (digest, hashlib.sha256(b"x").hexdigest())


@pytest.mark.parametrize(
    ("keywords", "options", "without"),
    [
        (DecodeKeywords, DecodeOptions, set()),
        (ModelKeywords, ModelOptions, {"model"}),
        (TrainKeywords, TrainConfig, {"preset"}),
    ],
)
def test_keywords_are_the_fields_of_the_settings(
    keywords: type, options: type, without: set[str]
) -> None:
    fields = {field.name for field in dataclasses.fields(options)} - without
    types = get_type_hints(options)
    assert get_type_hints(keywords) == {name: types[name] for name in fields}
    assert not keywords.__required_keys__  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("misspelt", "meant"), [("beem", "beams"), ("num_caption", "num_captions"), ("top-k", "top_k")]
)
def test_misspelt_options_are_answered_with_the_nearest(misspelt: str, meant: str) -> None:
    captioner, _ = colour_captioner()
    wrong: Any = {misspelt: 3}
    with pytest.raises(UsageError, match=f"Unknown decoding option '{misspelt}'") as caught:
        captioner.caption("photo.jpg", **wrong)
    assert caught.value.hint == f"Did you mean '{meant}'?"


def test_what_a_resumed_run_may_change_is_typed() -> None:
    from capgen.training.run.train import MACHINE_SETTINGS

    assert set(get_type_hints(MachineKeywords)) == set(MACHINE_SETTINGS)


def test_misspelt_settings_of_training_too() -> None:
    wrong: Any = {"batch_sise": 8}
    with pytest.raises(UsageError, match="Unknown setting 'batch_sise'") as caught:
        train_config("mini", **wrong)
    assert caught.value.hint == "Did you mean 'batch_size'?"


def test_misspelt_model_options_too() -> None:
    wrong: Any = {"devcie": "cpu"}
    with pytest.raises(UsageError, match="Unknown model option 'devcie'") as caught:
        Captioner.from_pretrained(**wrong)
    assert caught.value.hint == "Did you mean 'device'?"
