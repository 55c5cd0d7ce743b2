"""Measures of an answer against a reference, each a function of two texts: ROUGE, chrF, errors, numbers."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

UNSPACED = ("ja", "zh", "th", "km", "lo", "my", "bo")
"""Languages written without spaces between words, whose errors are counted in characters."""

_NUMBER = re.compile(r"[-−]?\d[\d,  ]*(?:\.\d+)?(?:/\d+)?")


def rouge_n(said: str, reference: str, n: int) -> float:
    """F1 of the runs of n words (Lin 2004), of the words that `words` finds."""
    a, b = (Counter(zip(*(tokens[k:] for k in range(n)), strict=False)) for tokens in (words(said), words(reference)))
    return _f1((a & b).total(), a.total(), b.total())


def rouge_l(said: str, reference: str) -> float:
    """F1 of the longest common subsequence of words (Lin 2004)."""
    a, b = words(said), words(reference)
    lengths = [0] * (len(b) + 1)
    for token in a:
        before = 0
        for at, other in enumerate(b, 1):
            here = lengths[at]
            lengths[at] = before + 1 if token == other else max(here, lengths[at - 1])
            before = here
    return _f1(lengths[-1], len(a), len(b))


def words_f1(said: str, reference: str) -> float:
    """F1 of the words, whatever their order, as SQuAD has it."""
    return rouge_n(said, reference, 1)


def chrf(said: str, reference: str) -> float:
    """chrF2 of one sentence, 0 to 1 (Popović 2015)."""
    import sacrebleu

    return sacrebleu.sentence_chrf(said, [reference]).score / 100


def bleu_counts(said: str, reference: str, language: str) -> Int[np.ndarray, "10"]:
    """What BLEU is made of, of one sentence: runs of 1 to 4 words that are right, all of them, and both lengths.

    sacreBLEU's tokenizer for the language (Post 2018). Counts of sentences add up.
    """
    import sacrebleu

    tokenize = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}.get(language.partition("-")[0], "13a")
    found = sacrebleu.sentence_bleu(said, [reference], tokenize=tokenize)
    return np.array([*found.counts, *found.totals, found.sys_len, found.ref_len])


def bleu_of(counts: Int[np.ndarray, "10"]) -> float:
    """BLEU from the counts of all sentences together, 0 to 100."""
    from sacrebleu.metrics.bleu import BLEU

    right, every, (said, due) = counts[:4].tolist(), counts[4:8].tolist(), counts[8:].tolist()
    return BLEU.compute_bleu(right, every, said, due).score


def word_errors(said: str, reference: str, language: str = "en") -> tuple[int, int]:
    """(words put in, left out or changed, words of the reference); characters where words are not told apart.

    Case and punctuation do not matter.
    """
    split = list if language.partition("-")[0] in UNSPACED else str.split
    a, b = (split(plain(text).replace(" ", "") if split is list else plain(text)) for text in (said, reference))
    return _distance(a, b), len(b)


def character_errors(said: str, reference: str) -> tuple[int, int]:
    """(characters put in, left out or changed, characters of the reference). Case and punctuation do not matter."""
    a, b = plain(said), plain(reference)
    return _distance(a, b), len(b)


def numbers(text: str) -> list[float]:
    """The numbers in a text, fractions as their value."""
    found = []
    for run in _NUMBER.findall(text.replace("−", "-")):
        top, _, bottom = re.sub(r"[,  ]", "", run).partition("/")
        if not bottom or float(bottom):
            found.append(float(top) / float(bottom or 1))
    return found


def relaxed(said: str, reference: str, tolerance: float = 0.05) -> bool:
    """A number within 5% of the reference, as ChartQA has it (Masry et al. 2022); else the same words."""
    if _NUMBER.fullmatch(reference.strip()):
        (due,), got = numbers(reference), numbers(said)
        return bool(got) and abs(got[-1] - due) <= tolerance * abs(due)
    return plain(said) == plain(reference)


def words(text: str) -> list[str]:
    """Words without case and punctuation; in scripts without spaces each character is one."""
    found = []
    for run in plain(text).split():
        at = 0
        for match in re.finditer(r"[぀-ヿ一-鿿฀-๿]", run):
            found += [run[at : match.start()], match[0]]
            at = match.end()
        found.append(run[at:])
    return [word for word in found if word]


def plain(text: str) -> str:
    """Lower case, punctuation as spaces, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(" " if unicodedata.category(c)[0] in "PZCS" else c for c in folded).split())


def _distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def _f1(common: int, said: int, due: int) -> float:
    return 2 * common / (said + due) if common else 0.0
