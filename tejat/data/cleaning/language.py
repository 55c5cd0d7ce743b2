"""Which language a text is really in (py3langid: naive Bayes over byte n-grams, 140 languages).

Translations are often partly English: of a page said to be Hindi nine paragraphs in ten may be untranslated, and its
language would be learned wrong. Nothing is dropped here: what is English after all is English, and the steps against
duplicates know it again.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from tejat.data.cleaning.records import Record, group, is_prose, language, text
from tejat.data.cleaning.report import Report
from tejat.data.shards import Item
from tejat.errors import BadInput

SURE = 0.99
"""The probability from which the identifier is believed against what a record says. Of 9,000 documents in 36 languages
it then contradicted 6, rightly, and read some translations as the English that they were."""

NEAR = (
    {"no", "nb", "nn", "da"},
    {"hr", "bs", "sr", "sh"},
    {"id", "ms"},
    {"zh", "yue", "wuu"},
    {"gl", "pt"},
    {"ar", "arz", "ary", "apc"},
    {"fa", "prs"},
    {"en", "pcm", "sco"},
    {"tl", "fil"},
    {"ku", "ckb", "sdh"},
)
"""Languages between which the identifier does not judge."""

SHORTEST = 120  # bytes of text below which nothing can be said
_SAMPLE = 160  # characters from the beginning, the middle and the end that it looks at

# They make up a quarter of English prose, and of nothing else.
_ENGLISH_WORDS = "a an and are as be by can for from have if in is it not of on or that the this to which will with you"
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+")


class Language:
    """Gives running text its language where it has none or, surely, another; takes untranslated paragraphs out.

    A text of another language than English loses its English paragraphs, if what stays is long enough and is of its
    language; else it is taken for the English text that it mostly is. What is unsure stays as it was. Records that are
    no Items of running text pass. Nothing grows.
    """

    def __init__(self) -> None:
        self.report = Report("language")

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        for record in records:
            yield self._told(record, source) if isinstance(record, Item) and is_prose(record) else self._passed(record)

    def _passed(self, record: Record) -> Record:
        self.report.notes["no running text, passed"] += 1
        return record

    def _told(self, record: Item, source: str) -> Item:
        told, declared, content = group(record, source), language(record), text(record)
        self.report.see(told, len(content))
        if declared not in ("", "en"):
            kept, lost = translated(content)
            if lost and (identify(kept)[0] == declared or len(kept) >= 0.9 * len(content)):
                self.report.change("untranslated paragraphs taken out", told, lost[0])
                self.report.characters["taken out"] += len(content) - len(kept)
                content = kept
                record = replace(record, fields=record.fields | {"text": kept})
        found, sure = identify(content)
        if not declared:
            named = found if sure >= SURE else ""
            self.report.change("language given" if named else "unsure, left without one", told, f"{found}: {content}")
            return _in(record, named) if named else record
        if sure >= SURE and found != declared and not any({found, declared} <= near for near in NEAR):
            self.report.change(f"is {found}, as it did not say", told, content)
            return _in(record, found)
        return record


def identify(content: str) -> tuple[str, float]:
    """(ISO 639 code, probability) of the likeliest language; ("", 0) of a text that is too short."""
    if len(content) > 3 * _SAMPLE:
        middle = len(content) // 2
        content = f"{content[:_SAMPLE]} {content[middle : middle + _SAMPLE]} {content[-_SAMPLE:]}"
    if len(content.encode()) < SHORTEST:
        return "", 0.0
    found, sure = _identifier().classify(content)
    return str(found), float(sure)


def translated(content: str) -> tuple[str, list[str]]:
    """(the text without its English paragraphs, those). For texts that should be in another language."""
    parting = "\n\n" if "\n\n" in content else "\n"
    kept: list[str] = []
    lost: list[str] = []
    for paragraph in content.split(parting):
        (lost if _is_english(paragraph) else kept).append(paragraph)
    return parting.join(kept), lost


def _is_english(paragraph: str) -> bool:
    if not any(word in paragraph for word in (" the ", " of ", " to ", " and ", " is ", " you ")):
        return False
    found = _WORD.findall(paragraph.lower())
    if len(found) < 8 or sum(word in _ENGLISH for word in found) < 0.25 * len(found):
        return False
    return _identifier().classify(paragraph[:_SAMPLE])[0] in ("en", "pcm")


def _in(record: Item, named: str) -> Item:
    return replace(record, fields=record.fields | {"language": named})


@cache
def _identifier():
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise BadInput("the language of texts needs py3langid; install it with: pip install 'tejat[data]'") from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
