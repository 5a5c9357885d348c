"""Which images an HTML page has, and where their texts go."""

from __future__ import annotations

from time import process_time

import pytest

from capgen.alt_text.html_places import html_places
from capgen.alt_text.places import with_texts

TEXT = "a \"red\" 'dog' & <b> &amp;"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<IMG SRC=a.jpg>", '<IMG SRC=a.jpg alt="T">'),
        ("<img src=a.jpg/>", '<img src=a.jpg/ alt="T">'),
        ('<img\r\n  src="a.jpg"\r\n/>', '<img\r\n  src="a.jpg" alt="T"\r\n/>'),
        ("<img ALT=' ' src=a>", '<img ALT="T" src=a>'),
        ("<img srcset='a.jpg 1x, b.jpg 2x'>", "<img srcset='a.jpg 1x, b.jpg 2x' alt=\"T\">"),
        ('<input type="image" src="go.png">', '<input type="image" src="go.png" alt="T">'),
        ("<p title='>'><img src='a>b.jpg'>", "<p title='>'><img src='a>b.jpg' alt=\"T\">"),
        ("a < b <img src=a> c > d", 'a < b <img src=a alt="T"> c > d'),
        ("<svg><path d='M0'/></svg><img src=a>", "<svg><path d='M0'/></svg><img src=a alt=\"T\">"),
        (
            '<img src="{{ url | default: "x" }}/a.jpg">',
            '<img src="{{ url | default: "x" }}/a.jpg" alt="T">',
        ),
        ("<title>x</title><img src=a>", '<title>x</title><img src=a alt="T">'),
    ],
)
def test_a_text_becomes_an_attribute(page: str, expected: str) -> None:
    [place] = html_places(page)
    assert place.state == "missing"
    assert place.edit is not None
    assert with_texts(page, [(place.edit, "T")]) == expected
    [after] = html_places(with_texts(page, [(place.edit, TEXT)]))
    assert (after.state, after.text, after.address) == ("written", TEXT, place.address)


@pytest.mark.parametrize(
    "page",
    [
        "<!-- <img src=a> -->",
        "<script>x = '<img src=a>' // </scripty></script>",
        "<style>a { content: '<img src=a>' }</style>",
        "<textarea><img src=a></textarea>",
        "<?php echo '<img src=a>' ?>",
        "{# <img src=a> #}",
        "<img class=x id=y>",
        "<img src=a",
        "&lt;img src=a&gt;",
        '<input type="text" src="a">',
    ],
)
def test_what_is_not_shown_is_no_image(page: str) -> None:
    assert html_places(page) == []


def test_states_and_addresses() -> None:
    page = """<img src=a alt=""><img src=b alt><img src=c aria-hidden=true>
      <img src=d alt="A &amp; B"><img src="{{ u }}" alt="{{ t | default: "x" }}">
      <img src=data:image/gif;base64,R0 data-src=e.jpg srcset="f.jpg 1x, g.jpg 2x">
      <img src=h aria-label="the h">"""
    found = [(place.state, place.text, place.address, place.others) for place in html_places(page)]
    assert found == [
        ("decoration", "", "a", ()),
        ("decoration", "", "b", ()),
        ("decoration", "", "c", ()),
        ("written", "A & B", "d", ()),
        ("computed", "", "", ()),
        ("missing", "", "data:image/gif;base64,R0", ("e.jpg", "g.jpg", "f.jpg")),
        ("written", "the h", "h", ()),
    ]


def test_context() -> None:
    page = """<h1>Top</h1><p>Before.<p><img src=a></p><figure><img src=b>
      <figcaption>The <b>caption</b></figcaption></figure>
      <h2>Next</h2><p>With <img src=c> it<br>all</p><ul><li>One</li></ul>"""
    found = [(place.heading, place.paragraph) for place in html_places(page)]
    assert found == [("Top", "Before."), ("Top", "The caption"), ("Next", "With it all")]


def test_a_page_full_of_what_is_no_tag_takes_no_time() -> None:
    assert html_places("<" * 200_000 + "<img src=a>")[0].address == "a"
    assert html_places('<a b="' * 3_000) == []


@pytest.mark.parametrize(
    "page",
    [
        "<plaintext><img src=a.jpg>",
        "<![ <img src=a.jpg>",
        "</ <img src=a.jpg>",
        "{% highlight html %}<img src=a.jpg>{% endhighlight %}",
    ],
)
def test_what_a_browser_does_not_show_is_no_image(page: str) -> None:
    assert html_places(page) == []


def test_a_script_may_end_itself_in_xhtml() -> None:
    page = '<script src="x.js"/><img src="a.jpg"/>'
    assert [place.address for place in html_places(page, language="xml")] == ["a.jpg"]
    assert html_places(page) == []


def test_many_images_without_text_take_no_quadratic_time() -> None:
    started = process_time()
    found = html_places("<h1>Title</h1><p>First</p>" + "<p><img src=a.jpg></p><div></div>" * 20_000)
    assert {(place.heading, place.paragraph) for place in found} == {("Title", "First")}
    assert process_time() - started < 5
