"""Captions in other languages: their tokens, their scores, and which metrics are left out."""

from __future__ import annotations

import importlib.metadata
import math
import sys
import types
import unicodedata
from collections import Counter
from collections.abc import Sequence

import pytest

import capgen.metrics.tokenizers as tokenizers
from capgen.errors import MetricError
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.evidence import Evidence
from capgen.metrics.score import score_captions
from capgen.metrics.score_report import ScoreReport
from capgen.metrics.tokenizers import characters, choose, tokenizer, unicode_words

COUNTING = ("bleu", "rouge_l", "cider_d")
CHINESE = {
    "a": ["一只狗在草地上奔跑。", "一只棕色的狗跑过草地"],
    "b": ["两个女孩在街上玩耍", "女孩们在玩球"],
    "c": ["一辆红色的公共汽车", "街上有一辆公共汽车"],
}
CHINESE_SAID = {"a": "一只狗在草地上", "b": "两个女孩在玩", "c": "红色的汽车"}
JAPANESE = {
    "a": ["犬が芝生の上を走っている。", "茶色の犬が走る"],
    "b": ["女の子がボールで遊ぶ", "少女たちのグループ"],
}
JAPANESE_SAID = {"a": "犬が走っている", "b": "女の子が遊ぶ"}
THAI = {
    "a": ["สุนัขวิ่งบนหญ้า", "สุนัขสีน้ำตาลกำลังวิ่ง"],
    "b": ["เด็กผู้หญิงเล่นบอล", "เด็กสองคนเล่นอยู่"],
}
THAI_SAID = {"a": "สุนัขวิ่ง", "b": "เด็กเล่นบอล"}
HINDI = {
    "a": ["एक कुत्ता घास पर दौड़ रहा है।", "भूरा कुत्ता दौड़ता है"],
    "b": ["दो लड़कियाँ सड़क पर खेल रही हैं", "लड़कियाँ गेंद से खेलती हैं।"],
}
HINDI_SAID = {"a": "एक कुत्ता घास पर दौड़ता है", "b": "दो लड़कियाँ खेल रही हैं।"}
GERMAN = {
    "a": ["Ein Hund läuft über die Wiese.", "Der Hund rennt über grünes Gras"],
    "b": ["Zwei Mädchen spielen auf der Straße", "Mädchen spielen mit einem Ball"],
}
GERMAN_SAID = {"a": "Ein Hund läuft über die Straße", "b": "Zwei Mädchen spielen"}


def bleu(hypotheses: Sequence[list[str]], references: Sequence[list[list[str]]]) -> list[float]:
    """Return BLEU-1 to BLEU-4 by the definition of Papineni et al. (2002)."""
    scores, logs = [], 0.0
    said = sum(map(len, hypotheses))
    close = 0
    for words, others in zip(hypotheses, references, strict=True):
        close += min(map(len, others), key=lambda n: (abs(n - len(words)), n))
    for size in range(1, 5):
        right = total = 0
        for words, others in zip(hypotheses, references, strict=True):
            found = Counter(zip(*(words[k:] for k in range(size)), strict=False))
            most: Counter[tuple[str, ...]] = Counter()
            for other in others:
                most |= Counter(zip(*(other[k:] for k in range(size)), strict=False))
            right += sum((found & most).values())
            total += found.total()
        logs += math.log(right / total) if right else -math.inf
        scores.append(math.exp(logs / size) * min(1.0, math.exp(1 - close / said)))
    return scores


def check_bleu(report: ScoreReport, said: list[str], references: list[list[str]]) -> None:
    """Check BLEU against its definition, over tokens that were written by hand."""
    expected = bleu([line.split() for line in said], [[r.split() for r in g] for g in references])
    found = [report.corpus[f"BLEU-{size}"] for size in range(1, 5)]
    # The official scorer adds a tiny number to counts.
    assert found == pytest.approx(expected, abs=1e-6)


def test_chinese_is_compared_character_by_character() -> None:
    report = score_captions(CHINESE_SAID, CHINESE, metrics=COUNTING, language="zh")
    check_bleu(
        report,
        ["一 只 狗 在 草 地 上", "两 个 女 孩 在 玩", "红 色 的 汽 车"],
        [
            ["一 只 狗 在 草 地 上 奔 跑", "一 只 棕 色 的 狗 跑 过 草 地"],
            ["两 个 女 孩 在 街 上 玩 耍", "女 孩 们 在 玩 球"],
            ["一 辆 红 色 的 公 共 汽 车", "街 上 有 一 辆 公 共 汽 车"],
        ],
    )
    spaced = {name: " ".join(text) for name, text in CHINESE_SAID.items()}
    references = {n: [" ".join(t.strip("。")) for t in group] for n, group in CHINESE.items()}
    english = score_captions(spaced, references, metrics=COUNTING, tokenizer="ptb")
    assert report.corpus == english.corpus
    assert report.stamp.tokenizer_key == "characters"
    assert any("count characters. With the package jieba" in note for note in report.notes)


def test_japanese_and_thai_are_compared_character_by_character() -> None:
    report = score_captions(JAPANESE_SAID, JAPANESE, metrics=COUNTING)
    check_bleu(
        report,
        ["犬 が 走 っ て い る", "女 の 子 が 遊 ぶ"],
        [
            ["犬 が 芝 生 の 上 を 走 っ て い る", "茶 色 の 犬 が 走 る"],
            ["女 の 子 が ボ ー ル で 遊 ぶ", "少 女 た ち の グ ル ー プ"],
        ],
    )
    report = score_captions(THAI_SAID, THAI, metrics=COUNTING)
    # Marks stay with their letters; NFKC splits ำ into a mark and a letter.
    check_bleu(
        report,
        ["สุ นั ข วิ่ ง", "เ ด็ ก เ ล่ น บ อ ล"],
        [
            ["สุ นั ข วิ่ ง บ น ห ญ้ า", "สุ นั ข สี น้ํ า ต า ล กํ า ลั ง วิ่ ง"],
            ["เ ด็ ก ผู้ ห ญิ ง เ ล่ น บ อ ล", "เ ด็ ก ส อ ง ค น เ ล่ น อ ยู่"],
        ],
    )


def test_hindi_is_compared_word_by_word() -> None:
    report = score_captions(HINDI_SAID, HINDI, metrics=COUNTING, language="hi")
    assert report.stamp.tokenizer_key == "unicode"
    check_bleu(
        report,
        ["एक कुत्ता घास पर दौड़ता है", "दो लड़कियाँ खेल रही हैं"],
        [
            ["एक कुत्ता घास पर दौड़ रहा है", "भूरा कुत्ता दौड़ता है"],
            ["दो लड़कियाँ सड़क पर खेल रही हैं", "लड़कियाँ गेंद से खेलती हैं"],
        ],
    )


def test_german_is_compared_as_the_coco_scorers_do() -> None:
    report = score_captions(GERMAN_SAID, GERMAN, language="de")
    check_bleu(
        report,
        ["ein hund läuft über die straße", "zwei mädchen spielen"],
        [
            ["ein hund läuft über die wiese", "der hund rennt über grünes gras"],
            ["zwei mädchen spielen auf der straße", "mädchen spielen mit einem ball"],
        ],
    )
    assert report.stamp.tokenizer_key == "ptb"
    assert list(report.left_out) == ["rouge_score", "meteor"]
    assert report.left_out["meteor"] == (
        "METEOR's stems and synonyms are English, and the references are not (de)."
    )
    assert "drops 7% of the references' letters" in report.left_out["rouge_score"]
    assert report.failed == ()
    assert "meteor" not in report.stamp.definitions


def test_a_metric_that_cannot_read_the_language() -> None:
    with pytest.raises(MetricError, match="SPICE parses English, and the references are not"):
        score_captions(HINDI_SAID, HINDI, metrics=["spice"], language="und-Deva")
    # Plain letters are no trouble for rouge-score.
    plain = {"a": "een hond rent"}, {"a": ["een hond loopt"]}
    assert list(score_captions(*plain, language="nl").left_out) == ["meteor"]
    assert score_captions(*plain, language="en").left_out == {}
    said = score_captions(*plain, metrics=["chair", "spider", "bleu"], language="nl")
    assert said.left_out == {
        "chair": "CHAIR's words for objects are English, and the references are not (nl).",
        "spider": "SPIDEr's SPICE parses English, and the references are not (nl).",
    }
    assert said.failed == ()


def test_diversity_by_the_tokens_of_the_language() -> None:
    more = {"a": ["一只猫"], "b": ["两个女孩在玩"], "c": ["红色的汽车开"]}
    evidence = Evidence(alternatives=more)
    report = score_captions(CHINESE_SAID, CHINESE, metrics=["diversity"], evidence=evidence)
    # 一只狗在草地上 and 一只猫: 8 different of 10 characters; the same caption twice: 6 of 12.
    assert report.per_image["distinct-1 (n-best)"][:2].tolist() == pytest.approx([8 / 10, 0.5])
    assert report.per_image["self-CIDEr"][1] == pytest.approx(0)
    assert 0 < report.per_image["self-CIDEr"][0] < 1


def test_words_by_unicode() -> None:
    assert unicode_words("„Zwei“ Hunde – in 3,5 m Höhe!") == "zwei hunde in 3,5 m höhe"
    assert unicode_words("L’homme n'a qu'une t-shirt.") == "l'homme n'a qu'une t-shirt"
    assert unicode_words("می\u200cرود، سگ") == "می\u200cرود سگ"
    decomposed = unicodedata.normalize("NFD", "über die Straße")
    assert unicode_words(decomposed) == "über die straße"
    assert unicode_words("…") == ""


def test_characters() -> None:
    assert characters("3只 Labrador狗、T恤") == "3 只 labrador 狗 t 恤"
    assert characters("ＡＢ ｶﾞﾗｽ、人々") == "ab ガ ラ ス 人 々"
    assert characters("。") == ""


@pytest.mark.parametrize(
    ("language", "references", "expected"),
    [
        ("en", ["a dog", "一只狗"], "ptb"),
        ("", ["собака бежит"], "ptb"),
        ("", ["12"], "ptb"),
        ("ko", ["개가 잔디 위를 달린다"], "unicode"),
        ("", ["كلب يجري"], "unicode"),
        ("zh-Hant", ["一隻狗"], "characters"),
        # Somebody has put spaces between the words.
        ("zh", ["一 只 狗 在 草地 上", "两 个 女孩"], "unicode"),
        # Thai has spaces between phrases.
        ("th", ["สุนัขสีน้ำตาลกำลังวิ่ง บนสนามหญ้าสีเขียว"], "characters"),
    ],
)
def test_the_tokenizer_that_suits(language: str, references: list[str], expected: str) -> None:
    assert choose("auto", language, references).key == expected
    assert choose("unicode", language, references).key == "unicode"


@pytest.mark.parametrize(
    ("key", "language", "text", "module"),
    [
        ("jieba", "zh", "一只狗。", {"lcut": lambda text: [text[0], text[1], text[2:]]}),
        (
            "fugashi",
            "ja",
            "犬が走る。",
            {
                "Tagger": lambda: (
                    lambda text: [
                        types.SimpleNamespace(surface=part) for part in (text[:1], text[1:])
                    ]
                )
            },
        ),
        (
            "pythainlp",
            "th",
            "สุนัขวิ่ง",
            {"word_tokenize": lambda text, engine: [text[:5], " ", text[5:]]},
        ),
    ],
)
def test_packages_that_find_words(
    key: str,
    language: str,
    text: str,
    module: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(MetricError, match=f"{key} is not installed") as caught:
        if tokenizers.find_spec(key) is None:
            tokenizer(key)
        else:
            pytest.skip(f"{key} is installed")
    assert "pip install" in caught.value.hint
    fake = types.SimpleNamespace(setLogLevel=lambda level: None, **module)
    for name in (key, "pythainlp.tokenize"):
        monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.setattr(tokenizers, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.2")
    tokenizer.cache_clear()
    try:
        found = choose("auto", language, [text])
        assert found.key == key
        named = "fugashi 1.2 with unidic 1.2" if key == "fugashi" else f"{key} 1.2"
        assert found.name == f"words by {named}, lower case, no punctuation"
        expected = {"jieba": "一 只 狗", "fugashi": "犬 が走る", "pythainlp": "สุนัข วิ่ง"}
        assert found.tokenize(text) == expected[key]
    finally:
        tokenizer.cache_clear()


def test_document_frequencies_of_other_tokens() -> None:
    table = DocumentFrequencies.from_references(CHINESE.values(), tokenizer=tokenizer("characters"))
    report = score_captions(CHINESE_SAID, CHINESE, metrics=["cider_d"], document_frequencies=table)
    own = score_captions(CHINESE_SAID, CHINESE, metrics=["cider_d"])
    assert report.corpus == pytest.approx(own.corpus)
    assert report.stamp.frequencies_digest == table.digest != ""
    with pytest.raises(MetricError, match="document frequencies are of other tokens"):
        score_captions(
            CHINESE_SAID, CHINESE, metrics=["bleu"], document_frequencies=table, tokenizer="ptb"
        )


def test_a_tokenizer_that_does_not_split_the_script() -> None:
    for chosen in ({"tokenizer": "ptb"}, {"language": "en"}):
        report = score_captions(CHINESE_SAID, CHINESE, metrics=COUNTING, **chosen)
        assert any("ptb does not split it" in note for note in report.notes)
    split = score_captions(CHINESE_SAID, CHINESE, metrics=COUNTING)
    assert not any("ptb" in note for note in split.notes)


def test_characters_are_no_words_of_languages_with_spaces() -> None:
    report = score_captions(GERMAN_SAID, GERMAN, metrics=COUNTING, tokenizer="characters")
    assert not any("script without spaces" in note for note in report.notes)
