#!/usr/bin/env python3
"""Writes the corpus of the tokenizer comparison: multilingual and adversarial texts, a JSON object with `text` a line.

The same bytes on every machine: all randomness is a linear congruential generator of our own, all text is made here
from words in the table below and from code points.

    make_corpus.py OUT.jsonl [BYTES [SEED]]        (1,000,000 bytes of text, seed 1)
"""
import json
import sys

WORDS = {
    "english":
        "the of and to in a is that for it was on are as with they be at one have this from or had "
        "by hot but some what there we can out other were all your when up use word how said an "
        "each she which do their time if will way about many then them would write like so these "
        "her long make thing see him two has look more day could go come did my sound no most "
        "number who over know water than call first people may down side been now find "
        "antidisestablishmentarianism tokenization HTTPServer JSONObject iPhone McDonald's O'Neill "
        "can't won't I'll WE'VE You're it'S they'd THEY'D don'T naïve café résumé coöperate",
    "german":
        "und die der in zu den das nicht von sie ist des sich mit dem dass er es ein ich auf so "
        "eine auch als an nach wie im für Größe Straße Fußgängerübergang "
        "Donaudampfschifffahrtsgesellschaft ÄRGER Übermut Öl Maß",
    "french":
        "de la le et les des en un du une que est pour qui dans par plus pas au sur ne se l'eau "
        "d'accord aujourd'hui qu'il œuvre où garçon Noël être français",
    "spanish":
        "de la que el en y a los se del las un por con no una su para es al lo como más pero ¿qué? "
        "¡sí! niño año",
    "polish":
        "w i na z do się nie to że o jest jak po co za od przez ale czy tym już być źdźbło żółć "
        "gęślą jaźń",
    "turkish": "bir ve bu da de için ile çok daha olarak gibi İstanbul ışık ğ ş IĞDIR ılık",
    "vietnamese": "và của có là không cho được trong người với việc này đã một những tiếng Việt nước đường",
    "russian":
        "и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой Ёлка "
        "ПРИВЕТ мир",
    "greek": "και το να του η της με που την από για είναι στο Ελληνικά ΟΔΥΣΣΕΥΣ ὀξεῖα ἄνθρωπος",
    "hebrew": "של את על לא זה עם הוא גם כי אני שָׁלוֹם עֲלֵיכֶם בְּרֵאשִׁית",
    "arabic": "في من على أن إلى هذا التي كان مع عن السَّلَامُ عَلَيْكُمْ ١٢٣٤ ﷺ مـرحـبـا",
    "hindi": "के है में की से को और का यह नमस्ते हिन्दी क्षत्रिय ज्ञान १२३ संस्कृतम्",
    "bengali": "এবং আমি তুমি বাংলা ভাষা ১২৩ স্বাধীনতা",
    "tamil": "நான் நீ அவன் தமிழ் மொழி ஸ்ரீ",
    "thai": "ที่ และ ใน การ เป็น ของ ภาษาไทย กรุงเทพมหานคร ๑๒๓",
    "burmese": "မြန်မာ ဘာသာ စကား ကျွန်တော်",
    "khmer": "ភាសាខ្មែរ កម្ពុជា និង",
    "georgian": "და არის ეს საქართველო ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ",
    "amharic": "እና ነው አማርኛ ኢትዮጵያ ፩፪፫",
    "chinese": "的 一 是 不了 人 我在 有 他 这个 中文 大家好 今天天气很好。 「引號」 東京 ，。！？",
    "japanese": "の に は を た が で て と し れ さ 東京は日本の首都です。 カタカナ ひらがな ﾊﾝｶｸ ー々〆",
    "korean": "이 그 저 것 수 등 한국어 안녕하세요 서울특별시 ㄱㄴㄷ 각",
    "cherokee": "ᏣᎳᎩ ꮳꮃꭹ",
    "titlecase": "ǅungla ǈubav ǋegoš ᾈ ᾼ",
    "numbers":
        "0 1 12 123 1234 12345678 3.14159 1e10 0x1F 1,000,000 ½ ² ³ Ⅷ ⅷ ① ㊿ ๕ ৩ 𝟘𝟙𝟚 𐄇 Ⅻ12 1st 2nd "
        "42nd ４２",
    "code":
        "def f(x): return x**2 // 3 #include <stdio.h> int main(void) { for (;;) { i++; } } /* "
        "comment */ // note path/to/file.c C:\\Users\\x a->b a::b a.b() == != <= >= && || += -= => "
        "{} [] () <html> </div> &amp; $VAR ${x} __init__ snake_case camelCase SCREAMING_SNAKE "
        "kebab-case @decorator #hash https://example.org/a?b=c&d=e%20f#g",
    "symbols": "— – … “ ” ‘ ’ « » • · ° € £ ¥ © ® ™ → ← ↔ ∑ ∫ ≤ ≠ ∞ ★ ☃ ♥ 〒 ﷼ ￥ 𝒳 𝔘 ⠿ ꙮ � ﻿ ￼",
    "emoji": "🙂 😀😃 👩‍👩‍👧 👨🏽‍💻 🏳️‍🌈 🇩🇪🇫🇷 ❤️ 1️⃣ 🤷‍♀️ 🫠 🧑🏿‍🤝‍🧑🏻",
}
SPACES = [" "] * 24 + ["  ", "   ", "\n", "\n\n", "\r\n", "\t", "\t\t", " \n", "\n ", " \n \n ", "\u00a0", "\u3000"]
SPACES += ["\u2009", "\u2028", "\x0b", "\x0c", "\x85", "\u1680", " \t ", "\r", "\n\r\n", "    ", "        ", ""]
SPECIALS = ["<|begin_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "<0x0A>",
            "<|endoftext|>", "[INST]", "<|header_start|>", "<|", "|>", "<file_sep>", "\u2581", "\u2581\u2581",
            "\u2581a"]
CONTRACTIONS = ["'s", "'S", "'t", "'T", "'re", "'RE", "'rE", "'ve", "'Ve", "'m", "'M", "'ll", "'LL", "'lL", "'d", "'D",
                "'\u017f", "'\u017fx", "'l", "'r", "'v", "''s", "\u2019s", "'", "'x", "'\u017ft"]
RUNS = ["a", "A", " ", "\n", "\t", "=", "-", "1", "\u00e9", "\u0301", "\u4e2d", "\U0001f469\u200d", "ab", "aA", 
        "\u02b0A", " \n", "'s", "\u2581", "\u00a0", "_", "ha", "/"]
EDGES = ["", " ", "  ", "a", "\x00", "a\x00b", "\u2581", " \u2581", "\ufeff", "\U0010ffff", "\ufffd", "'", "''", "\r",
         "\x1c\x1d\x1e\x1f x", "".join(map(chr, range(256)))]
# first, behind the last, one in so many of them is taken
CODE_POINTS = [(0, 0x3400, 2), (0x3400, 0xA000, 12), (0xA000, 0xAC00, 2), (0xAC00, 0xD7A4, 12), (0xD7A4, 0xD800, 2),
               (0xE000, 0xF900, 50), (0xF900, 0x17000, 2), (0x17000, 0x18D00, 12), (0x18D00, 0x20000, 4),
               (0x20000, 0x323B0, 40), (0xE0000, 0xE0200, 4), (0x10FF00, 0x110000, 8)]


class Random:
    """Numerical Recipes' 64-bit generator; the high bits are used."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n

    def pick(self, items):
        return items[self.below(len(items))]


def is_scalar(code):
    return not 0xD800 <= code <= 0xDFFF


def words(r):
    text = ""
    language = r.pick(list(WORDS))
    for _ in range(1 + r.below(60)):
        if r.below(12) == 0:
            language = r.pick(list(WORDS))
        text += r.pick(WORDS[language].split()) + r.pick(SPACES)
        if r.below(15) == 0:
            text += r.pick(CONTRACTIONS)
        if r.below(40) == 0:
            text += r.pick(SPECIALS)
    return text


def soup(r):
    """Short things in any order: where patterns meet at their edges."""
    kinds = [lambda: r.pick(SPACES), lambda: r.pick(CONTRACTIONS), lambda: r.pick("aZñßÑǅʰªاאก中ー"),
             lambda: r.pick("0٣５Ⅷ½"), lambda: r.pick(".,!?-_/\\()[]{}'\"`~@#$%^&*+=|<>:;"),
             lambda: r.pick("\u0301\u0308\u0345\u20dd\u0903\ufe0f\u200d"),
             lambda: r.pick(SPECIALS), lambda: r.pick("\r\n/"), lambda: chr(r.below(0x250)),
             lambda: r.pick(WORDS[r.pick(list(WORDS))].split())]
    return "".join(r.pick(kinds)() for _ in range(1 + r.below(80)))


def scalars(r):
    """Any code points at all, from a few blocks at a time."""
    text = ""
    for _ in range(1 + r.below(8)):
        start = r.below(0x32000) if r.below(8) else 0xE0000 + r.below(0x200)
        for _ in range(1 + r.below(12)):
            code = start + r.below(64)
            text += chr(code) if is_scalar(code) else ""
    return text


def run(r):
    """Long runs of one thing, with something else in front and behind."""
    unit = r.pick(RUNS)
    return r.pick(["", "x", " ", "\n"]) + unit * (1 + r.below(300)) + r.pick(["", "x", " ", "\n", " y"])


def texts(size, seed):
    r = Random(seed)
    total = 0
    for first, behind, one_in in CODE_POINTS:
        for start in range(first, behind, 4000):
            # a sample of the code points with something in front of each
            codes = [c for c in range(start, min(start + 4000, behind)) if r.below(one_in) == 0]
            text = "".join(r.pick(["", " ", "a", "A", "'", "1"]) + chr(c) for c in codes)
            total += len(text.encode())
            yield text
    yield from EDGES
    while total < size:
        text = r.pick([words, words, words, words, soup, soup, scalars, run])(r)
        total += len(text.encode())
        yield text


def main():
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with open(sys.argv[1], "w", encoding="ascii", newline="\n") as out:
        for text in texts(size, seed):
            out.write(json.dumps({"text": text}) + "\n")


if __name__ == "__main__":
    main()
