"""Random strings that are hard to tokenize."""

from __future__ import annotations

import random

SEPARATORS = frozenset("\n\r\v\f\x85\u2028\u2029")

WORDS = """a the man woman dog runs over street Red BLUE T-shirt New York O'Neil don't can't won't
it's they're I'd we'll John's dogs' cannot gonna gotta wanna gimme lemme 'tis 'twas y'all c'mon
o'clock rock'n'roll 'n' 'em ol' nor'easter li'l e'er d'Art l'eau Mr. Mrs. Dr. Ms. St. Jr. Sr. Inc.
Co. Ltd. Corp. etc. e.g. i.e. a.m. p.m. U.S. U.K. u.s.a. Ph.D. B.C. No. no. Fig. fig. vs. Jan. Feb.
Sept. Mon. Tues. Calif. Mass. Ave. Blvd. Rd. Pty. co. ca. pp. op. art. al. AT&T R&D Q&A S&P-500
AT&amp;T rock&roll www.foo.com foo.com http://a.b/c?d=e https://x.org/ mailto:x a@b.com
first.last@mail.co.uk @user @user_name @ #tag #1 ## file.txt img.JPG a.py C++ C# F# well-known
state-of-the-art mother-in-law 20-year-old pro-life anti-war co-ed e-mail and/or he/she w/o km/h
1/2 3/4 2 1/2 10/12/2014 12-25-99 10:30 3:05pm 5'11" 6ft 100% $5 $1,000.50 US$5 £3 €20 ¥100 50¢ ₹5
1,000 1.5 .5 -3 +4 1e5 3rd 21st 1980s '80s '90 90's 555-1234 (555)123-4567 (555) 123-4567
+1 555 123 4567 555.123.4567 1-800-555-1234 2014-08-27 2:1 No.5 ½ 1½ ¼ ⅓ m² x³ CO₂ 30° °C""".split()  # noqa: SIM905
MARKS = [
    *".,;:!?-'\"`()[]{}<>&*#@/\\|_~^+=%$",
    *"... .... … .. -- --- ----- – — '' `` ’ ‘ “ ” « » ‹ › „ ‚ !! ?! *** ___".split(),  # noqa: SIM905
    *"&amp; &lt; &gt; &quot; &apos; &nbsp; &mdash; &ndash; &MD; &HT; &#39;".split(),  # noqa: SIM905
    *"&eacute; <b> </b> <br/> << >> <3 :) :-) :( =) ;-) :D :P :| ^_^ ^.^".split(),  # noqa: SIM905
    *"(-_-) (^^) x_x >.< (>_<) -LRB-".split(),  # noqa: SIM905
    *[". . .", ". . . .", "<br />", '<a href="x y">', "<a href='x'>", "<!-- c -->", "\\*", "\\/"],
]
UNUSUAL = [
    *"éñüßøŁİıſKΣςЯяЖあア漢字한ابאשกिक्Ａ１！（～ﬁﬀ★☺→×÷±°©®™•·§¶¡¿†‰№⁄²₂Ⅷⓐ፩٣۴।。、ʼˈ\u0301",
    *["co\u00adop", "\u00ad", "e\u0301", "1⁄2", "\u00a0", "\u2003", "\u2009", "\u3000", "\u200b"],
    *["\u200d", "\ufeff", "\u200e", "😀", "👍🏽", "👨‍👩‍👧", "🇺🇸", "❤️", "\ue000", "\uffff", "\t"],
    *[chr(code) for code in (0, 1, 7, 27, 28, 31, 127, 128, 0x91, 0x92, 0x93, 0x94, 0x96, 0x97)],
]
BLOCKS = [
    *[(32, 126), (0xA0, 0x24F), (0x370, 0x7FF), (0x800, 0x1FFF), (0x2000, 0x2BFF)],
    *[(0x3000, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF)],
]


def strings(count: int, seed: int) -> list[str]:
    """Return strings without line separators."""
    chance = random.Random(seed)
    makers = [_sentence, _sentence, _dense, _digits, _mixed, _characters, _mutated, _titles]
    found: list[str] = []
    while len(found) < count:
        text = chance.choice(makers)(chance)
        if not SEPARATORS & set(text):
            found.append(text)
    return found


def _sentence(chance: random.Random) -> str:
    text = ""
    for _ in range(chance.randint(1, 10)):
        kind = chance.choices([WORDS, MARKS, UNUSUAL], [60, 25, 15])[0]
        text += chance.choice(kind) + chance.choices([" ", "", "  ", "\u00a0"], [75, 20, 3, 2])[0]
    return text


def _dense(chance: random.Random) -> str:
    kinds = [MARKS, "abcdnstTAMX019 .'"]
    return "".join(chance.choice(chance.choice(kinds)) for _ in range(chance.randint(1, 14)))


def _digits(chance: random.Random) -> str:
    return "".join(chance.choices("0123456789.,-/: ()+$%'x", k=chance.randint(1, 16)))


def _mixed(chance: random.Random) -> str:
    kinds = [UNUSUAL, UNUSUAL, WORDS, MARKS, " "]
    return "".join(chance.choice(chance.choice(kinds)) for _ in range(chance.randint(1, 12)))


def _characters(chance: random.Random) -> str:
    codes = [chance.randint(*chance.choice(BLOCKS)) for _ in range(chance.randint(1, 12))]
    return "".join(map(chr, codes))


def _mutated(chance: random.Random) -> str:
    letters = list(" ".join(chance.choices(WORDS, k=chance.randint(1, 6))))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(letters))
        letters[place] = chance.choice(
            [
                chance.choice(MARKS),
                letters[place].swapcase(),
                letters[place] + chance.choice(UNUSUAL),
                "",
            ]
        )
    return "".join(letters)


def _titles(chance: random.Random) -> str:
    words = [
        chance.choice([word, word.capitalize()])
        for word in chance.choices(WORDS, k=chance.randint(1, 8))
    ]
    return " ".join(words) + chance.choice(["", ".", " .", "...", "!", "?"])
