"""Sentences written for the tests: references of twelve images, and predictions for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# What the official programs make of the sentences below; written by `make_expected`.
EXPECTED_FILE = Path(__file__).with_name("expected.json")
EXPECTED: dict[str, Any] = json.loads(EXPECTED_FILE.read_text())

REFERENCES = {
    "harbour": [
        "Two fishing boats rest in a quiet harbour at dawn.",
        "A pair of boats is moored beside the old stone pier.",
        "Small boats float on still water near a pier",
    ],
    "kitchen": [
        "A woman in an apron slices bread on a wooden table.",
        "The baker's cutting a loaf of bread in her kitchen .",
        "Someone cuts bread; flour covers the table!",
        "a woman is slicing a loaf of fresh bread",
    ],
    "goose": [
        "Three geese are crossing the road behind a cyclist.",
        "The geese walk across a road, and a man on a bicycle waits.",
    ],
    "chess": [
        "An elderly man thinks about his next move in chess.",
        "Two men play chess under the trees in the park.",
        "The old men are playing a game of chess outdoors.",
        "A man in a grey hat ponders over a chessboard",
        "Old friends at a chess table in a park.",
    ],
    "market": [
        'A stall with a sign that says "fresh figs" - only $3.50 a box!',
        "A market stall sells figs for $3.50",
        "Fruit vendor's stall (figs, dates & nuts) at the market.",
    ],
    "violin": [
        "A girl can't stop smiling while she plays the violin.",
        "The young girl is playing her violin on a small stage .",
    ],
    "snow": [
        "Snow falls on the empty railway platform.",
        "An empty platform is covered with snow, snow and more snow.",
        "It's snowing at the station",
    ],
    "robot": [
        "A robot hands a paper cup to a visitor.",
        "A visitor gets a cup of tea from a robot's arm.",
        "the robot serves tea",
    ],
    "climber": [
        "A climber hangs from a rope high above the valley.",
        "The climber, in a red jacket, is dangling 300 m above the ground.",
        "A person in red is rock-climbing",
    ],
    "piano": [
        "A cat sits upon the closed lid of a piano.",
        "The kitty is seated on top of a grand piano.",
        "A grey cat on a piano",
    ],
    "ferry": [
        "Passengers wave from the upper deck of a ferry.",
        "People are waving on a ferry's deck as it leaves the port",
    ],
    "lamp": ["A lamp lights an empty desk."],
}

PREDICTIONS = {
    "plausible": {
        "harbour": "two boats are moored near a pier in a harbour",
        "kitchen": "a woman is cutting a loaf of bread on a table",
        "goose": "a man on a bicycle waits while geese cross the road",
        "chess": "two old men are playing chess in a park",
        "market": "a market stall with figs and a sign",
        "violin": "a young girl plays the violin on a stage",
        "snow": "snow falls on an empty train station platform",
        "robot": "a robot gives a cup of tea to a person",
        "climber": "a climber in a red jacket hangs from a rope",
        "piano": "a cat is sitting on a piano",
        "ferry": "people wave from the deck of a ship",
        "lamp": "a lamp on a desk",
    },
    "odd": {
        "harbour": "",
        "kitchen": "bread",
        "goose": "the the the the the the the the the the the the the the the the the the",
        "chess": " ".join(["two men play chess in the park and"] * 12),
        "market": 'A STALL: "FRESH FIGS" -- only $3.50 (a box) ... wow!!! :)',
        "violin": "... !!! ---",
        "snow": "Il neige à la gare — l'hiver est là ❄️ 雪",
        "robot": "a\trobot\u00a0hands a\u2003paper cup",
        "climber": "300 m 1/2 2 1/2 (555) 123-4567 a@b.com http://x.org/y #climb @home",
        "piano": "kitty's seated upon a grand piano's lid, isn't it?",
        "ferry": "wave wave ferry deck passengers upper",
        "lamp": "A lamp lights an empty desk.",
    },
    "constant": dict.fromkeys(REFERENCES, "a man is standing in front of a building"),
}

# What tokenizers stumble over; no line separators.
TRICKY = [
    "He cannot go; she's gonna stay, 'tis true - gimme that!",
    "\"Well,\" said O'Neil, 'I don't know about the 1990's or the '60s.'",
    "The U.S. team plays in St. Louis, Mo. on Jan. 5 at 10:30 a.m.",
    "Plan B. The dog runs. Vitamin C. is good. I saw Mr. K.",
    "No. 5 of 12, no. The answer is no. Fig. 3 and fig. x",
    "It costs $1,000.50, £3, €20 or 50¢ (about ½ of 1 1/2 = 3/4)",
    "Call (555) 123-4567 or 555.123.4567, or +1 555 123 4567",
    "mail me@example.co.uk, see http://example.org/a_b?c=d. or www.example.com!",
    "@user likes #captions #1 -- C++ & C# ... AT&T &amp; R&D",
    "&lt;b&gt; &quot;q&quot; &eacute;t&eacute; &nbsp;x &mdash; &#39; &HT;",
    'a <b>bold</b> <img src="a b.png" /> word <3 :) :-( ;P ^_^ (^_^)',
    "well-known state-of-the-art e-mail 20-year-old mother-in-law's and/or he/she 12/25/2014 3-4",
    "“curly” ‘quotes’ «guillemets» „low“ ``latex'' `tick` '' \"",
    "soft\u00adhyphen non\u00a0breaking\u2003em zero\u200bwidth 2\u00a01/2",
    "naïve café Ærø Straße Ёлка 猫が座る 한국어 العربية हिन्दी ﬁn",
    "emoji 😀 👨‍👩‍👧 🇺🇸 ❤️ ☺ ★ →",
    "dots . . . .... ….. etc. etc. -- --- ---- ----- – —",
    "{braces} [brackets] (parens) -LRB- -rrb- *** __ ## @@ == // \\ | ~",
    "3rd 21st 5'11\" 100% 30°C km/h m² CO₂ x=y 1,2,3 .5 -3 +4 1e5",
    "rock'n'roll c'mon y'all ma'am o'clock d'Artagnan l'eau dogs' James's n't 's 'll",
    "file.txt IMG_01.JPG a.py, readme.html? ph.d. Ph.D. p.m. e.g. i.e., vs. Inc. Co. Ltd.",
    "tab\there  double  spaces   ",
    "\x00 \x07 \x1b \x7f \x80 \x91q\x92 \x93q\x94 \x96 \x97",
    "?!?! !!! ,,, ;;; ::: ... .",
    "",
    " ",
]
