"""The token rules of the PTB tokenizer.

For a caption on one line they give the tokens of `edu.stanford.nlp.process.PTBTokenizer` in
Stanford CoreNLP 3.4.1. The patterns are those of `patterns.Parser`. The longest match wins, and
of equally long ones the first rule; the text that `ahead` matches counts towards the length.

They do not decide whether a full stop after an abbreviation is also a token, since the scorers
drop single full stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from capgen.metrics.ptb.characters import DIGITS, LETTERS, WORD_MARKS
from capgen.metrics.ptb.patterns import ranges_of

Rewrite = Callable[[str], str | None]

SETS = {
    "any": ((0, 0xFFFF),),
    "letter": LETTERS,
    "digit": DIGITS,
    "alnum": ranges_of(LETTERS + DIGITS),
    "wordletter": ranges_of(LETTERS + WORD_MARKS),
    "space": ranges_of([(ord(c), ord(c)) for c in " \t\u00a0\u3000"] + [(0x2000, 0x200A)]),
    # As `space`, and the end of the line.
    "gap": ranges_of([(ord(c), ord(c)) for c in " \t\n\u00a0\u3000"] + [(0x2000, 0x200A)]),
}

# Punctuation that may follow a full stop inside a sentence.
_MID_SENTENCE = r"[,;:\u3001]"

# Words that begin a new sentence after a single letter and a full stop.
_SENTENCE_STARTS = """
    [A]bout|[A]ccording|[A]dditionally|[A]fter|[A]n?|[A]s|[A]t|[B]ut|[E]arlier|[H]er?|[H]ere
    |[H]owever|[I]f|[I]n|[I]t|[L]ast|[M]any|[M]ore|[M]r\\.|[M]s\\.|[N]ow|[O]nce|[O]ne|[O]ther|[O]ur
    |[S]he|[S]ince|[S]o|[S]ome|[S]uch|[T]hat|[T]he|[T]heir|[T]hen|[T]here|[T]hese|[T]hey
    |[T]his|[W]e|[W]hen|[W]hile|[W]hat|[Y]et|[Y]ou
"""

MACROS = {
    "apostrophe": r"['\u0092\u2019] | &apos;",
    # Characters used as an apostrophe inside words.
    "tick": r"{apostrophe} | [`\u0091\u2018\u201b]",
    "dash": r"[-_\u058a\u2010\u2011]",
    "ampersand": r"&amp;",
    "accented": r"&[aeiouAEIOU](acute|grave|uml);",
    # Words and numbers.
    "wordpart": r"({wordletter}|{accented})({wordletter}|{accented}|{digit})*",
    "word": r"{wordpart}([.!?]{wordpart})*",
    "elided": r"[dDoOlL]{tick}{alnum}",
    "compound": r"{elided}?{alnum}+({dash}{elided}?{alnum}+)*",
    "hyphenated": r"""
        [A-Za-z0-9][A-Za-z0-9.,\u00ad]*(-([A-Za-z0-9\u00ad]+|({letters}|{alliance})\.))+""",
    "slashpart": r"[A-Za-z0-9]+(-[A-Za-z]+){0,2}",
    "joined": r"[A-Z]+(([+&]|{ampersand})[A-Z]+)+",
    "ending": r"{apostrophe}([msdMSD]|re|ve|ll)",
    "negation": r"n{tick}t",
    "count": r"{digit}+ | {digit}*([.:,\u00ad\u066b\u066c]{digit}+)+",
    "apostrophes": r"""
        {apostrophe}n{apostrophe}? | [lLdDjJ]{apostrophe} | Dunkin{apostrophe}
        | somethin{apostrophe} | ol{apostrophe} | {apostrophe}em | {apostrophe}till?
        | {apostrophe}cause | {apostrophe}[2-9]0s | [A-HJ-XZn]{tick}{letter}{letter}+
        | {letter}+[aeiouyAEIOUY]{tick}[aeiouA-Z]{letter}* | O{tick}o | cont'd\.? | nor'easter
        | c'mon | e'er | s'mores | ev'ry | li'l | nat'l""",
    "special": r"""
        -(RRB|LRB|RCB|LCB|RSB|LSB)- | C\.D\.s | pro- | anti- | S(&|&amp;)P-500 | S(&|&amp;)Ls
        | Cap{apostrophe}n | c{apostrophe}est""",
    # Abbreviations.
    "letters": r"[A-Za-z](\.[A-Za-z])+",
    "alliance": r"(Canada|Sino|Korean|EU|Japan|non)-U\.S | U\.S\.-(U\.K|U\.S\.S\.R)",
    "month": "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec",
    "day": "Mon|Tues?|Wed|Thu|Thurs|Fri",
    "state": """
        Ala | Ariz | [A]rk | [A]z | Calif | Colo | Conn | Ct | Dak | [D]el | Fla | Ga | [I]ll |
        Ind | Kans? | Ky | [L]a | [M]ass | Md | Mich | Minn | [M]iss | Mo | Mont | Neb | Nev |
        Okla | [O]re | [P]a | Penn | Tenn | [T]ex | Va | Vt | [W]ash | Wisc? | Wyo""",
    "firm": """
        Assn | Bancorp | Bhd | Corp | Cos? | Inc | Intl | Ltd | Plc | Pp?t[ye]s? | Rt | Sys |
        Univ""",
    "trailing": r"""
        ({month} | {day} | {state} | {firm} | (Ed|Ph)\.D | al | Bldg | Blvd | Bros | Esq | est | etc
        | ext | Jr | Rd | seq | sq | Sr | tel)\.""",
    "title": """
        Adj | Adm | Adv | Assoc | Asst | Attys? | Ave | Brig | Capt | Col | Co?mdr | Cpl | Det |
        Drs? | Ens | Ft | Gen | Govs? | Hon | Insp | Lieut | Lt | Maj | Messrs | [M]iss | Mlle |
        Mme | Mr | Mrs | Ms | Msgr | Mt | Pfc | Pres | Profs? | Pvt | Reps? | Rev | Sens? | Sfc
        | Sgt | Spc | Ste? | Supts?""",
    "leading": r"""
        ({title} | [A-Za-z] | {letters} | {alliance} | a\.k\.a | Alex | cf | Cie | Dept | Elec
        | Invt | Jos | M[ft]g | Natl | Ph | TREAS | vs | Wm)\.""",
    "numbered": r"(art | bldg | ca | figs? | nos? | op | pp | prop)\.",
    # Addresses of all kinds.
    "filepart": r"({wordletter}|{accented}|{digit})+",
    "suffix": """
        bat | bmp | c | cgi | class | cpp | dll | docx? | exe | gif | gz | h | html? | jar |
        java | jpe?g | mov | mp3 | pdf | php | pl | png | ppt | ps | py | sql | tar | txt | wav
        | x | xml | zip""",
    "urlchar": r'[^ \t\n\f\r"<>|()]',
    "urlend": r'[^ \t\n\f\r"<>|()\{\}.,!?-]',
    "url": r'https?://[^ \t\n\f\r"<>|()\{\}]+{urlend}',
    "hostchar": r'[^ \t\n\f\r"<>|()\{\}.,!?]',
    # In CoreNLP ",-_" is a range, from the comma to the underscore.
    "barehostchar": r"""[^ \t\n\f\r"`'<>|!()\{\},-_$]""",
    "host": r"www\.({hostchar}+\.)+[a-zA-Z]{2,4} | ({barehostchar}+\.)+(com|edu|net|org)",
    "path": r"/{urlchar}+{urlend}",
    "mailchar": r'[^ \t\n\f\r"<>|()\{\}\u00a0]',
    "mailpart": r'[^ \t\n\f\r"<>|()\{\}\u00a0.]+',
    "email": r"""
        (&lt;|<)?[a-zA-Z0-9]{mailchar}*@({mailpart}\.)*{mailpart}(&gt;|>)?""",
    "phone": r"""
        (\([0-9]{2,3}\)[ \u00a0]? | (\+\+?)?([0-9]{2,4}[- \u00a0])?[0-9]{2,4}[- \u00a0])
            [0-9]{3,4}[- \u00a0]?[0-9]{3,5}
        | ((\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}""",
    "name": r"[A-Za-z][A-Za-z0-9_:.-]*",
    "attribute": r"""{name}[ ]*=[ ]*('[^']*'|"[^"]*")""",
    "tag": r"""
        <([!?][-A-Za-z][^>\r\n]* | {name}([ ]+({name}|{attribute}))*[ ]*/? | /{name})[ ]*>""",
    # Marks.
    "quotes": r"""
        {apostrophe} | ''
        | [`\u2018\u2019\u201a-\u201f\u0091-\u0094\u2039\u203a\u00ab\u00bb]{1,2}""",
    "face": r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]]",
    # The first form is a mistake in CoreNLP, kept here.
    "kaomoji": r"""
        [\^x=~<>]\.\[\^x=[^<]*<>\] | [-\^x=~<>']_[-\^x=~<>'] | \([-\^x=~<>'][_.]?[-\^x=~<>']\)
        | \([\^x=~<>']-[\^x=~<>'`]\)""",
    "symbol": r"""
        [+%&~\^|\\\u00a6-\u00a9\u00ac\u00ae-\u00ba\u00d7\u00f7\u0387\u05be\u05c0\u05c3\u05c6]
        | [\u05f3\u05f4\u0600-\u0603\u0606-\u060a\u060c\u0614\u061b\u061e\u066a\u066d]
        | [\u0703-\u070d\u07f6-\u07f8\u0964\u0965\u0e4f\u1fbd\u2016\u2017\u2020-\u2023]
        | [\u2030-\u2038\u203b\u203e-\u2042\u2044\u207a-\u207f\u208a-\u208e\u2100-\u214f]
        | [\u2190-\u2bff\u3012\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]""",
}


def _nothing(text: str) -> str | None:
    return None


def _as(token: str) -> Rewrite:
    return lambda text: token


def _without_soft_hyphens(text: str) -> str | None:
    return text.replace("\u00ad", "") or "-"


def _unescaped(text: str) -> str | None:
    return re.sub("&amp;", "&", text, flags=re.IGNORECASE)


def _unbroken(text: str) -> str | None:
    return text.replace(" ", "\u00a0")


def _with_named_brackets(text: str) -> str | None:
    return text.replace("(", "-LRB-").replace(")", "-RRB-")


def _phone(text: str) -> str | None:
    return _with_named_brackets(text.replace(" ", "\u00a0"))


def _dashes(text: str) -> str | None:
    return "--" if len(text) in (3, 4) else text


_FRACTIONS = str.maketrans(
    {"\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
)
_CURRENCIES = str.maketrans(
    {"\u00a2": "cents", "\u00a3": "#", "\u0080": "$", "\u00a4": "$", "\u20a0": "$", "\u20ac": "$"}
)
_CURLY_QUOTES = str.maketrans(
    dict.fromkeys("\u0091\u2018\u201b\u2039", "`")
    | dict.fromkeys("\u0092\u2019\u203a", "'")
    | dict.fromkeys("\u0093\u201c\u00ab", "``")
    | dict.fromkeys("\u0094\u201d\u00bb", "''")
)


def _translated(table: dict[int, str]) -> Rewrite:
    return lambda text: text.translate(table)


def _opening_quote(text: str) -> str | None:
    text = text.replace("&apos;", "'").replace("'", "`")
    return text.replace('"', "``").replace("&quot;", "``").translate(_CURLY_QUOTES)


def _closing_quote(text: str) -> str | None:
    text = text.replace("&apos;", "'")
    return text.replace('"', "''").replace("&quot;", "''").translate(_CURLY_QUOTES)


@dataclass(frozen=True)
class Rule:
    """One kind of token.

    Attributes:
        pattern: The pattern of the token.
        rewrite: Returns the token for the matched text; None for no token.
        ahead: Pattern of the text that must follow; it is not part of the token.
        given_back: Number of characters at the end of the match that begin the next token.
    """

    pattern: str
    rewrite: Rewrite = str
    ahead: str = ""
    given_back: int = 0


RULES = (
    Rule(r"c[+][+] | (c|f)#"),
    Rule("cannot | 'twas", given_back=3),
    Rule("'tis | gonna | gotta | lemme | gimme | wanna", given_back=2),
    Rule("{tag}", _unbroken),
    Rule(r"&(MD|mdash|ndash); | [\u0096\u0097\u2013-\u2015]", _as("--")),
    Rule("{ampersand}", _unescaped),
    Rule(r"&(HT|TL|UR|LR|QC|QL|QR|odq|cdq|\#[0-9]+);"),
    Rule("{word}", _without_soft_hyphens, ahead="{ending}"),
    Rule(r"[A-Za-z\u00ad]*[A-MO-Za-mo-z]\u00ad*", _without_soft_hyphens, ahead="{negation}"),
    Rule("{word}", _without_soft_hyphens),
    Rule("{apostrophes}"),
    Rule("y{apostrophe}", ahead="{letter}"),
    Rule("{url} | ({host})({path})?"),
    Rule("{email}"),
    Rule(r"@[a-zA-Z_][a-zA-Z_0-9]* | \#({wordletter}|{accented})+"),
    Rule("{ending} | {negation}", _closing_quote, ahead="[^A-Za-z]"),
    Rule(r"{digit}{1,2}[-/]{digit}{1,2}[-/]{digit}{2,4}"),
    Rule(r"[-+]?({count})", _without_soft_hyphens),
    Rule(r"[\u207a\u207b\u208a\u208b]?([\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+|[\u2080-\u2089]+)"),
    Rule(r"({digit}{1,4}[- \u00a0])?{digit}{1,4}(\\?/|\u2044){digit}{1,4}", _unbroken),
    Rule(r"[\u00bc-\u00be\u2153-\u215e]", _translated(_FRACTIONS)),
    Rule("{special}", _unescaped),
    Rule(r"{slashpart}(\\?/{slashpart}){1,2}"),
    Rule(r"[A-Z]*\$ | \#"),
    Rule(
        r"[\u00a2-\u00a5\u0080\u20a0\u20a4\u20ac\u060b\u0e3f\uffe0\uffe1\uffe5\uffe6]",
        _translated(_CURRENCIES),
    ),
    # One letter and a full stop end a sentence where another sentence starts.
    Rule(r"[A-Za-z]\.", ahead=f"{{gap}}+({_SENTENCE_STARTS}|{{tag}}){{gap}}", given_back=1),
    Rule("{numbered}", ahead="{gap}?{digit}"),
    Rule(r"pt[eyEY]\.", ahead="{space}(ltd|lim)"),
    Rule("{trailing}", ahead="{any}{any}"),
    Rule("{trailing} | {leading}"),
    Rule("{letters} | {alliance}", ahead="{gap}"),
    Rule("{apostrophe}[0-9][0-9]", ahead="{gap}"),
    Rule(r"{filepart}(\.{filepart})*\.({suffix})", ahead="{gap}|[.?!,]"),
    Rule(r"{word}\.", _without_soft_hyphens, ahead=_MID_SENTENCE),
    Rule("{phone}", _phone),
    Rule('" | &quot;', _opening_quote, ahead="[A-Za-z0-9$]"),
    Rule('" | &quot;', _closing_quote),
    Rule(r"\u007f", _nothing),
    Rule("< | &lt;", _as("<")),
    Rule("> | &gt;", _as(">")),
    Rule("{face}", _with_named_brackets, ahead="[^A-Za-z0-9]"),
    Rule("{kaomoji}", _with_named_brackets),
    Rule(r"\{", _as("-LCB-")),
    Rule(r"\}", _as("-RCB-")),
    Rule(r"\[", _as("-LSB-")),
    Rule(r"\]", _as("-RSB-")),
    Rule(r"\(", _as("-LRB-")),
    Rule(r"\)", _as("-RRB-")),
    Rule("-+", _dashes),
    Rule(r"\.{3,5} | (\.[ \u00a0]){2,4}\. | [\u0085\u2026]", _as("...")),
    Rule(r"@+ | \#+ | _+ | \*+ | (\\\*){1,3} | [?!]+ | [=/]"),
    Rule(_MID_SENTENCE),
    Rule(r"[.\u00a1\u00bf\u037e\u0589\u061f\u06d4\u0700-\u0702\u07fa\u3002]"),
    Rule(r"{hyphenated}\.", _without_soft_hyphens, ahead=_MID_SENTENCE),
    Rule("{hyphenated}", _without_soft_hyphens),
    Rule(r"{compound}\.", ahead=_MID_SENTENCE),
    Rule("{compound}"),
    Rule(r"{joined}\.", _unescaped, ahead=_MID_SENTENCE),
    Rule("{joined}", _unescaped),
    Rule("'", _opening_quote, ahead=r"[A-Za-z][^ \t\n\r\u00a0]"),
    Rule("{ending} | {negation} | {quotes}", _closing_quote),
    Rule("<< | >>"),
    Rule("{symbol}"),
    Rule("{space}+ | &nbsp;", _nothing),
)
