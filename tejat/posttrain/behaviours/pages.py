"""Pages of handbooks: asked for is the sentence that speaks of a word, or the word that a sentence lacks; if there."""

import re
from collections.abc import Sequence

import numpy as np

from tejat.data.presenting.wording import LANGUAGES, one
from tejat.data.shards import Item
from tejat.parts import Document
from tejat.posttrain.behaviours.wording import Exchange, ask, dialogue, say

LONGEST = 700  # characters of what is shown
ABSENT = 0.4  # of what is asked for
GAPS = 0.5  # of the questions are for a word that was left out
GAP = "____"
_TRIES = 10

_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]+")
_IDEOGRAPH = re.compile("[一-鿿]")
_LISTED = re.compile(r"^(?:[-*•#]+|\d+\.)\s+")
_WORD = re.compile(r"[^\W\d_]{6,}|[ァ-ヿ]{3,}")


def document(items: Sequence[Item], random: np.random.Generator) -> Document | None:
    """A part of a page and one to three questions on it; None where no page was found that has sentences."""
    found = some(items, random)
    if found is None:
        return None
    text, language, sentences = found
    other = some(items, random, language)
    strange = [w for s in other[2] for w in _words(s, random) if w.lower() not in text.lower()] if other else []
    exchanges: list[Exchange] = []
    for _ in range(int(random.integers(1, 4))):
        absent = bool(strange) and random.random() < ABSENT
        sentence = one(other[2] if absent and other else sentences, random)
        words = [w for w in _words(sentence, random) if absent or text.lower().count(w.lower()) == 1]
        words = [w for w in words if not absent or w.lower() not in text.lower()]
        if not words:
            continue
        word = one(words, random)
        kind = "silent" if absent else "told"
        if random.random() < GAPS and sentence.count(word) == 1:
            asked = ask("gap", language, random, q=sentence.replace(word, GAP))
            answer = say("silent", language, random) if absent else word
        else:
            asked = ask("about", language, random, w=word)
            answer = say("unmentioned", language, random, w=word) if absent else sentence
        exchanges.append(Exchange(asked, answer, kind))
    if not exchanges:
        return None
    first = exchanges[0].asked
    asked = f"{text}\n\n{first}" if random.random() < 0.7 else f"{first}\n\n{text}"
    return dialogue([exchanges[0]._replace(asked=asked), *exchanges[1:]])


def _words(sentence: str, random: np.random.Generator) -> list[str]:
    """Its longer words; where words are not parted, pieces of it."""
    found = []
    for word in _WORD.findall(sentence):
        if _IDEOGRAPH.search(word):
            at = int(random.integers(max(1, len(word) - 4)))
            word = word[at : at + 4]
        found.append(word)
    return found


def some(
    items: Sequence[Item], random: np.random.Generator, language: str | None = None
) -> tuple[str, str, list[str]] | None:
    """(text, language, its sentences): the beginning of some page; None where none of a few is fit."""
    for _ in range(_TRIES):
        fields = items[int(random.integers(len(items)))].fields
        tag = {"zh-CN": "zh", "pt-BR": "pt"}.get(fields["language"], fields["language"])
        if tag not in LANGUAGES or (language and tag != language):
            continue
        text = fields["text"][:LONGEST]
        end = max(text.rfind(mark) for mark in ".。!?！？")
        text = text[: end + 1]
        sentences = [_LISTED.sub("", s.strip()) for s in _SENTENCE.findall(text)]
        sentences = [s for s in sentences if 15 < len(s) < 240]
        if len(sentences) >= 2:
            return text, tag, sentences
    return None
