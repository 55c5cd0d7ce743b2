"""The word lists beside this file: lines of `name: words`, and comments that begin with #."""

from functools import cache
from pathlib import Path


@cache
def stopwords() -> dict[str, frozenset[str]]:
    """Function words by language."""
    return {name: frozenset(words.split()) for name, words in lines("stopwords.txt")}


def lines(name: str) -> list[tuple[str, str]]:
    """(name, rest) of every line of a list."""
    found = (Path(__file__).parent / "lists" / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(":") for line in found if line.strip() and not line.startswith("#"))
    return [(head.strip(), rest.strip()) for head, _, rest in pairs]
