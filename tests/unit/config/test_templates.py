"""Prompts with placeholders, and prompts with names."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.captioning.prompts import Prompt, resolve_prompt
from capgen.config import NAMED_PROMPTS, ModelOptions, PromptOptions
from capgen.config.named_prompts import named_prompts
from capgen.config.templates import check_template, fill, placeholders
from capgen.errors import UsageError


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a photo of", "a photo of"),
        ("in {place}, by {file}", "in Oslo, by me {folder}"),
        ("in {date} and {place} too", "in and Oslo too"),
        ("{date}", ""),
        (" {date} a   photo ", "a photo"),
        ("a   photo ", "a   photo "),
        ("{{place}} is {place}", "{place} is Oslo"),
        ("{{{place}}}", "{Oslo}"),
        ('like {{"a": 1}}', 'like {"a": 1}'),
        ("first\n{date}\nlast", "first\n\nlast"),
    ],
)
def test_filling_in(template: str, expected: str) -> None:
    check_template(template, "it")
    assert fill(template, {"place": "Oslo", "file": "me {folder}"}) == expected


def test_which_placeholders() -> None:
    assert placeholders("{file} {{date}} {place}{file}") == {"file", "place"}
    assert placeholders("a photo of") == set()


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ("a {plce}", "the placeholder {plce}, which is unknown", "Did you mean 'place'?"),
        ("a {PLACE}", "the placeholder {PLACE}", "braces"),
        ("a {}", "the placeholder {}", "Known: "),
        ("a {place", "a single '{'", "{{ and }}"),
        ("a place}", "a single '}'", "{{ and }}"),
        ('{"a": 1}', "which is unknown", "braces"),
        ("a \udcff", "not valid UTF-8", ""),
    ],
)
def test_what_is_refused(template: str, message: str, hint: str) -> None:
    for name in ("prompt", "start_with"):
        with pytest.raises(UsageError) as caught:
            PromptOptions(**{name: template})
        assert caught.value.message.startswith("--" + name.replace("_", "-"))
        assert message in caught.value.message and hint in caught.value.hint
        with pytest.raises(UsageError):
            ModelOptions(**{name: template})


def settings_file(home: Path, text: str) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def resolved(prompt: str | None, **options: str) -> Prompt:
    return resolve_prompt(ModelOptions(prompt=prompt, **options))


def test_a_name_stands_for_its_prompt(home: Path) -> None:
    assert resolved("alt") == Prompt("alt", NAMED_PROMPTS["alt"])
    assert resolved("alternative") == Prompt("", "alternative")
    assert resolved(None, system="Be short.") == Prompt(system="Be short.")
    assert resolved("a b", start_with=" two  dogs ") == Prompt("", "a b", start_with="two dogs")


def test_the_users_own_prompts_come_first(home: Path) -> None:
    """They are the user's words: no model has words of its own for them."""
    path = settings_file(home, '[prompts]\nalt = "a photo of"\nshot-2 = "shot in {place}"\n')
    assert resolved("alt") == Prompt("", "a photo of")
    assert resolved("shot-2") == Prompt("", "shot in {place}")
    assert resolved("tags") == Prompt("tags", NAMED_PROMPTS["tags"])
    assert named_prompts(path) == NAMED_PROMPTS | {
        "alt": "a photo of",
        "shot-2": "shot in {place}",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('prompts = "a photo of"', "prompts is not a section"),
        ("[prompts]\nalt = 5", "the prompt alt is 5; it must be text"),
        ('[prompts]\nalt = " "', "it must be text"),
        ('[prompts]\n"a b" = "x"', "'a b' cannot be the name of a prompt"),
        ('[prompts]\nalt = "in {plce}"', "the prompt alt has the placeholder {plce}"),
        ("[prompts.alt]\nx = 'y'", "it must be text"),
        ("[prompts", "Cannot read the settings"),
    ],
)
def test_a_wrong_prompt_of_the_user_is_told_where_it_is(
    home: Path, text: str, message: str
) -> None:
    path = settings_file(home, text)
    with pytest.raises(UsageError) as caught:
        resolved("alt")
    assert message in caught.value.message and str(path) in caught.value.message
    assert resolved("words of my own").text == "words of my own"  # needs no name
