"""Which images a Markdown page has, and where their texts go."""

from __future__ import annotations

import re
from pathlib import Path
from time import process_time

import pytest

from capgen.alt_text.markdown_places import markdown_places
from capgen.alt_text.pages import parse_page
from capgen.alt_text.places import with_texts

TEXT = 'a "red" [dog] & <b> | {x} *y* \\ &amp;'


def addresses(page: str, *, mdx: bool = False) -> list[str]:
    return [place.address for place in markdown_places(page, mdx=mdx)]


def states(page: str, *, mdx: bool = False) -> list[tuple[str, str]]:
    return [(place.state, place.text) for place in markdown_places(page, mdx=mdx)]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("![](a.jpg)", "![TEXT](a.jpg)"),
        ("![ ](a.jpg)", "![TEXT](a.jpg)"),
        ('- > ![](a.jpg "title")', '- > ![TEXT](a.jpg "title")'),
        ("> one ![\n> ](a.jpg) two", "> one ![TEXT](a.jpg) two"),
        ("|a|b|\n|-|-|\n|![](a.jpg)|![](a.jpg)|", "|a|b|\n|-|-|\n|![TEXT](a.jpg)|![TEXT](a.jpg)|"),
        ("## ![](a.jpg) ##", "## ![TEXT](a.jpg) ##"),
        ("[![](a.jpg)](b)", "[![TEXT](a.jpg)](b)"),
        ("![][r]\n\n[r]: a.jpg", "![TEXT][r]\n\n[r]: a.jpg"),
        ("![](<a b.jpg>)", "![TEXT](<a b.jpg>)"),
        ("`x` ![](a.jpg) `y`", "`x` ![TEXT](a.jpg) `y`"),
        ("\ufeff![](a.jpg)", "\ufeff![TEXT](a.jpg)"),
        ("---\nx: 1\n---\n![](a.jpg)", "---\nx: 1\n---\n![TEXT](a.jpg)"),
        ("![]({{ site.baseurl }}/a.jpg)", "![TEXT]({{ site.baseurl }}/a.jpg)"),
        ("1. a\n\n   ![](a.jpg)", "1. a\n\n   ![TEXT](a.jpg)"),
        ("!!! note\n\n    ![](a.jpg)", "!!! note\n\n    ![TEXT](a.jpg)"),
        ("\t- a\n\n![](a.jpg)", "\t- a\n\n![TEXT](a.jpg)"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_text_goes_into_the_brackets(page: str, expected: str, line_end: str) -> None:
    page, expected = (each.replace("\n", line_end) for each in (page, expected))
    missing = [place for place in markdown_places(page) if place.state == "missing"]
    edits = [place.edit for place in missing if place.edit is not None]
    new = with_texts(page, [(edit, "TEXT") for edit in edits])
    if "![TEXT" in expected:
        assert new == expected
    again = with_texts(page, [(edit, TEXT) for edit in edits])
    assert states(again) == [("written", TEXT)] * len(missing)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('<img src="a.jpg">', '<img src="a.jpg" alt="TEXT">'),
        ("x <img src=a.jpg> y", 'x <img src=a.jpg alt="TEXT"> y'),
        ("> <p><img\n> src='a.jpg'\n> width=3></p>", None),
        (
            "<div>\n<img alt=' ' src='a.jpg'/>\n</div>",
            "<div>\n<img alt=\"TEXT\" src='a.jpg'/>\n</div>",
        ),
        ('{{< figure src="a.jpg" >}}', '{{< figure src="a.jpg" alt="TEXT" >}}'),
        ('{{% figure class="x" src=`a.jpg` %}}', '{{% figure class="x" src=`a.jpg` alt="TEXT" %}}'),
    ],
)
def test_a_text_becomes_an_attribute(page: str, expected: str | None) -> None:
    [place] = markdown_places(page)
    assert (place.state, place.address[:1]) == ("missing", "a")
    assert place.edit is not None
    new = with_texts(page, [(place.edit, "TEXT")])
    assert new == (expected or page.replace("'a.jpg'", "'a.jpg' alt=\"TEXT\""))
    assert states(with_texts(page, [(place.edit, TEXT)])) == [("written", TEXT)]


@pytest.mark.parametrize(
    "page",
    [
        "`![](a.jpg)` `<img src=a.jpg>`",
        "```\n![](a.jpg)\n<img src=a.jpg>\n```",
        "    ![](a.jpg)",
        "<!-- ![](a.jpg) <img src=a.jpg> -->",
        "{% comment %} ![](a.jpg) {% endcomment %}",
        "{{/* ![](a.jpg) */}}",
        '{{</* figure src="a.jpg" */>}}',
        '`{{< figure src="a.jpg" >}}`',
        "---\ncover: '![](a.jpg)'\n---\n",
        "+++\ncover = '![](a.jpg)'\n+++\n",
        "\\![](a.jpg)",
        "![x][nothing]",
        "<div>\n![](a.jpg)\n</div>",
        "<script>\n'<img src=a.jpg>'\n</script>",
    ],
)
def test_what_is_not_shown_is_no_image(page: str) -> None:
    assert addresses(page) == []


def test_states() -> None:
    page = (
        '![ a dog ](a.jpg) ![][r] ![r] <img src=b alt=""> <img src=c alt> <img src=d alt="x">\n\n'
        "<img src=e role=presentation> ![{{ page.title }}](f.jpg) "
        '{{< figure src="g" caption="Cap" >}}'
        "\n\n[r]: r.jpg"
    )
    assert states(page) == [
        *(("written", "a dog"), ("missing", ""), ("written", "r")),
        *(("decoration", ""), ("decoration", ""), ("written", "x")),
        *(("decoration", ""), ("computed", ""), ("written", "Cap")),
    ]


def test_the_text_of_a_short_reference_cannot_be_changed() -> None:
    [place] = markdown_places("![r]\n\n[r]: r.jpg")
    assert (place.address, place.edit) == ("r.jpg", None)


def test_context() -> None:
    page = (
        "# Top\n\n![](a.jpg)\n\nAfter *it*.\n\n## Next `one`\n\nBefore it.\n\n![](b.jpg)\n\n"
        "Beside ![](c.jpg) text {{ x }}.\n\n## Alone\n\n![](d.jpg)\n"
    )
    found = [(place.heading, place.paragraph) for place in markdown_places(page)]
    assert found == [
        ("Top", "After it."),
        ("Next one", "Before it."),
        ("Next one", "Beside text ."),
        ("Alone", ""),
    ]


MDX = """import photo from './p.jpg'

<Image src={photo} alt={a > b ? "x" : "y"} />
<Image src="a.jpg" width={3 > 2} />

<div>![](b.jpg)</div>
<img {...props} /> <img src={"c.jpg"} alt={"a dog"} />
{/* <img src="d.jpg"/> */} `<img src="e.jpg">`

    ![](f.jpg)
"""


def test_mdx() -> None:
    found = [(place.address, place.state) for place in markdown_places(MDX, mdx=True)]
    assert found == [
        *(("./p.jpg", "computed"), ("a.jpg", "missing"), ("b.jpg", "missing")),
        *(("c.jpg", "written"), ("f.jpg", "missing")),
    ]
    edits = [place.edit for place in markdown_places(MDX, mdx=True) if place.state == "missing"]
    new = with_texts(MDX, [(edit, TEXT) for edit in edits if edit is not None])
    assert '<Image src="a.jpg" alt="a &quot;red&quot;' in new
    after = markdown_places(new, mdx=True)
    assert [place.text for place in after] == ["", TEXT, TEXT, "a dog", TEXT]


def test_bytes_that_are_no_text_stay() -> None:
    content = "# é\n\n![](a.jpg)\n".encode("latin-1")
    page = parse_page(Path("x.md"), content)
    assert page.ascii_only
    [place] = page.places
    assert (place.line, place.column) == (3, 1)
    assert place.edit is not None
    new = with_texts(page.text, [(place.edit, "café")], ascii_only=True)
    changed = new.encode("utf-8", "surrogateescape")
    assert changed == content.replace(b"![]", b"![caf&#233;]")
    assert parse_page(Path("x.md"), changed).places[0].text == "café"


@pytest.mark.parametrize(
    "page",
    [
        "{% highlight html %}\n<img src=a.jpg>\n![](a.jpg)\n{% endhighlight %}",
        "{{< highlight html >}}\n<img src=a.jpg>\n{{< /highlight >}}",
        "{%- comment -%}\n![](a.jpg)\n{%- endcomment -%}",
    ],
)
def test_code_that_a_template_colours_is_no_image(page: str) -> None:
    assert addresses(page) == []


@pytest.mark.parametrize(
    "page",
    [
        "<img src=\"{{ '/a b.jpg' | relative_url }}\">",
        "text <img src=\"{{ '/a b.jpg' | relative_url }}\">",
        "> text <img\n> src=\"{{ '/a b.jpg' }}\">",
    ],
)
def test_the_address_within_an_expression_of_html(page: str) -> None:
    assert addresses(page) == ["/a b.jpg"]


@pytest.mark.parametrize(
    "page", ["x\0 ![](a.jpg)", "\f\n![](a.jpg)", "- \f\n![](a.jpg)", "x\f![](a.jpg)"]
)
def test_control_characters_do_not_hide_a_place(page: str) -> None:
    [place] = markdown_places(page)
    assert place.edit is not None
    assert with_texts(page, [(place.edit, "TEXT")]) == page.replace("![]", "![TEXT]")


def test_an_expression_ends_with_its_line_whatever_ends_that() -> None:
    assert addresses("# {% a\r\r~~~\r<img src=a.jpg>%}\r~~~\r") == []


def test_what_does_not_end_takes_no_quadratic_time() -> None:
    for piece in ("{{ a\n", "{{", "{% comment %}\n", "{{< figure x\n", "{/* "):
        started = process_time()
        assert markdown_places(piece * 20_000, mdx=True) == []
        assert process_time() - started < 5, piece


DOCUSAURUS = """import photo from './p.jpg'

<Image img={require('@site/static/a.jpg')} />
<img src={useBaseUrl('/b.jpg')} /> <img src={require('./c.jpg').default} />
<img src={photo} /> <img src={other} /> <img src={pick('a', 'b')} />
"""


def test_expressions_that_lead_to_files() -> None:
    found = [(place.address, place.state) for place in markdown_places(DOCUSAURUS, mdx=True)]
    addresses = ("@site/static/a.jpg", "/b.jpg", "./c.jpg", "./p.jpg", "", "")
    assert found == [(address, "missing") for address in addresses]
    edits = [place.edit for place in markdown_places(DOCUSAURUS, mdx=True)]
    new = with_texts(DOCUSAURUS, [(edit, "T") for edit in edits if edit is not None])
    assert "<Image img={require('@site/static/a.jpg')} alt=\"T\" />" in new


MKDOCS = """!!! note "Title"

    ![](a.jpg)

        ![](code.jpg)

    === "Tab"

        ![](b.jpg)

            ![](code.jpg)

- item

    ??? tip

        ![](c.jpg)

![](d.jpg)

    ![](code.jpg)
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_code_in_blocks_of_mkdocs_stays(line_end: str) -> None:
    page = MKDOCS.replace("\n", line_end)
    assert addresses(page) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    edits = [place.edit for place in markdown_places(page)]
    new = with_texts(page, [(edit, "T") for edit in edits if edit is not None])
    assert new == re.sub(r"!\[\](?=\([a-d]\.jpg)", "![T]", page)
