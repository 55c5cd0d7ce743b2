"""When an answer counts as right: exact match after normalisation, as SQuAD has it (Rajpurkar et al. 2016)."""

import re
import unicodedata
from collections.abc import Iterable

# Of the ten languages of the sample; a noun is the same answer with its article.
_ARTICLES = {
    *("a", "an", "the", "der", "die", "das", "ein", "eine", "el", "la", "los", "las", "un", "una", "unos", "unas"),
    *("le", "les", "une", "il", "lo", "gli", "i", "uno", "o", "os", "as", "um", "uma"),
}
_ELISION = re.compile(r"\b[ld]['’](?=\w)")
_MINUS = re.compile(r"(?<!\w)[-−](?=\d)")


def normalise(text: str) -> str:
    """Case, punctuation, articles at the start, and space do not matter; accents and the sign of a number do.

    A text of nothing but punctuation is left as it is.
    """
    text = _MINUS.sub("−", _ELISION.sub("", unicodedata.normalize("NFKC", text).casefold()))
    words = "".join(" " if unicodedata.category(c)[0] in "PZC" else c for c in text).split()
    # Not the last word: "A" and "Die" may be the whole answer.
    while len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words) or text.strip()


def matches(said: str, answers: Iterable[str]) -> bool:
    """Is this one of the acceptable answers?"""
    return normalise(said) in {normalise(answer) for answer in answers}


def ends(said: str, answers: Iterable[str]) -> str | None:
    """The acceptable answer whose words end this; None where none does."""
    words = normalise(said).split()
    found = [a for a in answers if (last := normalise(a).split()) and words[-len(last) :] == last]
    return max(found, key=len, default=None)
