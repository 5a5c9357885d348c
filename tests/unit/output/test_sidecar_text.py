"""Text sidecars: what is added goes on the line that trainers read."""

from __future__ import annotations

import pytest

from capgen.output.sidecar_text import UnreadableTextError, has_caption, text_sidecar

DOG = ["a dog"]


@pytest.mark.parametrize(
    ("before", "separator", "appended", "prepended"),
    [
        ("old", ", ", "old, a dog", "a dog, old"),
        ("old\n", ", ", "old, a dog\n", "a dog, old\n"),
        ("old\r\n", ", ", "old, a dog\r\n", "a dog, old\r\n"),
        ("one\ntwo\n\n", ", ", "one\ntwo, a dog\n\n", "a dog, one\ntwo\n\n"),
        ("old\n", "\n", "old\na dog\n", "a dog\nold\n"),
        ("old", "\n", "old\na dog\n", "a dog\nold\n"),
        ("one\r\ntwo", "\n", "one\r\ntwo\r\na dog\r\n", "a dog\r\none\r\ntwo\r\n"),
        ("old", " | ", "old | a dog", "a dog | old"),
        ("old", "", "olda dog", "a dogold"),
        ("\n", ", ", "a dog\n", "a dog\n"),
    ],
)
def test_the_separator(before: str, separator: str, appended: str, prepended: str) -> None:
    for policy, expected in (("append", appended), ("prepend", prepended)):
        after = text_sidecar(DOG, before.encode(), policy, separator)
        assert after == expected.encode()
        assert text_sidecar(DOG, after, policy, separator) == after  # again changes nothing


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(b"", "cp1252"), (b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"", "utf-8")],
)
def test_encoding_mark_and_line_ends_stay(mark: bytes, encoding: str) -> None:
    before = mark + "café – zwei\r\n".encode(encoding)
    after = text_sidecar(DOG, before, "append")
    assert after == mark + "café – zwei, a dog\r\n".encode(encoding)
    assert text_sidecar(DOG, before, "prepend") == mark + "a dog, café – zwei\r\n".encode(encoding)


def test_several_captions_are_separated_as_they_are_from_the_rest() -> None:
    several = ["a dog", "a\n\ncat"]
    assert text_sidecar(several) == b"a dog\na cat\n"
    assert text_sidecar(several, b"old\n", "overwrite") == b"a dog\na cat\n"
    assert text_sidecar(several, b"old\n", "append") == b"old, a dog, a cat\n"
    assert text_sidecar(several, b"old\n", "prepend", "\n") == b"a dog\na cat\nold\n"
    assert text_sidecar(several, b"", "append") == b"a dog\na cat\n"


@pytest.mark.parametrize("policy", ["append", "prepend"])
@pytest.mark.parametrize("tags", [(), ("dog", "bed")])
def test_several_captions_are_not_added_again_to_a_file_of_theirs(
    policy: str, tags: tuple[str, ...]
) -> None:
    captions = ["a dog", "two dogs"]
    before = text_sidecar(captions, policy=policy, tags=tags)
    assert before.decode().splitlines() == [", ".join((each, *tags)) for each in captions]
    for data in (before, before.replace(b"\n", b"\r\n")):
        assert text_sidecar(captions, data, policy, tags=tags) == data
        assert text_sidecar(["a cat"], data, policy) != data


def test_a_separator_that_the_encoding_cannot_hold() -> None:
    with pytest.raises(UnreadableTextError, match="cp1252 cannot hold"):
        text_sidecar(DOG, b"caf\xe9", "append", " 犬 ")


@pytest.mark.parametrize(
    ("captions", "tags", "caption", "has"),
    [
        (["a dog runs"], (), "a dog runs", True),
        (["a dog runs"], (), "a dog", False),
        (["a dog runs"], (), "", False),
        ([""], (), "", True),
        (["a dog", "it runs"], (), "it runs", True),
        (["a dog"], ("dog", "grass"), "a dog", True),
        (["two\r\nlines"], (), "two\nlines", True),
        (["a dog"], (), "a \ud83d", False),
    ],
)
def test_the_captions_of_a_new_file_are_found_in_it(
    captions: list[str], tags: tuple[str, ...], caption: str, has: bool
) -> None:
    assert has_caption(text_sidecar(captions, tags=tags), caption) is has
