"""Texts in XMP: put where they belong, everything else byte for byte as it was."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capgen.images.metadata import Unwritable
from capgen.images.metadata.xmp import ALT_TEXT, DESCRIPTION, read_texts, with_text, without_padding
from tests.images_with_metadata import RDF, described, packet

DOG = 'a "dog" & <two> cats'
LIGHTROOM = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\r\n<!-- mine -->\r\n'
    + described(
        "\r\n <crs:ToneCurve><rdf:Seq><rdf:li>0, 0</rdf:li></rdf:Seq></crs:ToneCurve>"
        "<dc:subject><rdf:Bag><rdf:li>Ferien</rdf:li><rdf:li>犬</rdf:li></rdf:Bag></dc:subject>",
        ' xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+1.20"',
    )
    + b"\r\n"
    + b" " * 2000
    + b'\r\n<?xpacket end="w"?>\r\n'
)


NEW = (
    f'<dc:description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:rdf="{RDF}"><rdf:Alt>'
    f'<rdf:li xml:lang="x-default">{escape(DOG)}</rdf:li></rdf:Alt></dc:description>'
).encode()


@pytest.mark.parametrize(
    ("before", "removed"),
    [
        (LIGHTROOM, b""),
        (described(""), b""),
        (described("<dc:description/>"), b"<dc:description/>"),
        (described("<dc:description>o</dc:description>"), b"<dc:description>o</dc:description>"),
        (described("", " dc:description=\"o > 'ld'\""), b" dc:description=\"o > 'ld'\""),
        (described("", " dc:description='o'  x:y='1' xmlns:x='urn:x'"), b" dc:description='o'"),
        (b"\xef\xbb\xbf" + described("<!-- \xe4 -->"), b""),
        (b" \n" + described("<dc:title>ä 犬</dc:title>") + b"\0\0", b""),
    ],
)
def test_a_text_that_was_not_there_is_all_that_is_added(before: bytes, removed: bytes) -> None:
    after = with_text(before, DOG)
    assert read_texts(after) == {"x-default": DOG}
    assert after.count(NEW) == 1
    assert after.replace(NEW, b"") == before.replace(removed, b"")
    assert with_text(after, DOG) == after


@pytest.mark.parametrize(
    ("before", "old"),
    [
        (packet("old", en="Grandma"), b"old"),
        (packet("old").replace(b"dc:", b"d.c-1:").replace(b":dc=", b":d.c-1="), b"old"),
        (packet("old").replace(b"rdf:", b"r:").replace(b":rdf=", b":r="), b"old"),
        (
            described("<dc:description><rdf:Alt><rdf:li>old</rdf:li></rdf:Alt></dc:description>"),
            b"old",
        ),
        (
            packet("old").replace(b">old<", b"><![CDATA[</rdf:li>]]><!-- </dc:description> --><"),
            b"<![CDATA[</rdf:li>]]><!-- </dc:description> -->",
        ),
    ],
)
def test_a_text_that_was_there_is_all_that_changes(before: bytes, old: bytes) -> None:
    assert with_text(before, DOG) == before.replace(old, escape(DOG).encode())


def test_the_default_comes_before_languages() -> None:
    after = with_text(packet(de="Oma", en="Grandma"), DOG)
    assert list(read_texts(after)) == ["x-default", "de", "en"]
    assert after.index(b"x-default") < after.index(b'"de"')


def test_a_default_that_is_empty() -> None:
    before = described(
        "<dc:description><rdf:Alt><rdf:li xml:lang='en'>e</rdf:li>"
        "<rdf:li xml:lang='x-default'/></rdf:Alt></dc:description>"
    )
    assert read_texts(with_text(before, DOG)) == {"x-default": DOG, "en": "e"}


def test_a_new_packet() -> None:
    for what in (DESCRIPTION, ALT_TEXT):
        assert read_texts(with_text(None, DOG, what), what) == {"x-default": DOG}
        assert read_texts(with_text(b"", DOG, what), what) == {"x-default": DOG}


def test_two_properties_do_not_touch_each_other() -> None:
    both = with_text(with_text(LIGHTROOM, DOG), "alt", ALT_TEXT)
    assert (read_texts(both), read_texts(both, ALT_TEXT)) == (
        {"x-default": DOG},
        {"x-default": "alt"},
    )
    assert b'crs:Exposure2012="+1.20"' in both and "犬".encode() in both


@pytest.mark.parametrize(
    "before",
    [
        *(
            b"a dog\n",
            b"<a/>",
            b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            b"\xff\xfe<\0a\0/\0>\0",
        ),
        f'<rdf:RDF xmlns:rdf="{RDF}"/>'.encode(),
        b"<?xml version='1.0' encoding='latin-1'?>" + described(""),
        packet("old")
        .replace(b"<rdf:li", b"<rdf:li><rdf:li")
        .replace(b"</rdf:li>", b"</rdf:li></rdf:li>"),
        described("") + b"<?xpacket end='w'?><more/>",
    ],
)
def test_what_is_not_understood_is_left_alone(before: bytes) -> None:
    with pytest.raises(Unwritable):
        with_text(before, DOG)


def test_padding_makes_room() -> None:
    assert len(without_padding(LIGHTROOM)) == len(LIGHTROOM) - 2003
    assert read_texts(with_text(without_padding(LIGHTROOM), DOG)) == {"x-default": DOG}


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(min_size=1),
    languages=st.dictionaries(
        st.sampled_from(["de", "en", "x-default", "fr-CA"]), st.text("aä<&\"'犬")
    ),
)
def test_any_text_is_read_back(text: str, languages: dict[str, str]) -> None:
    before = packet(**languages) if languages else described("")
    after = with_text(before, text)
    allowed = "".join(c for c in text if c.isprintable() or c in "\n\t")
    assert read_texts(after) == languages | {"x-default": allowed}
