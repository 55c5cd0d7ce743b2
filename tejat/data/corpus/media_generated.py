"""Items for what is made when it is drawn: arithmetic, physics, retrieval; and instructions about real words.

The items only say what is to be made and how hard; `number` tells them apart. Every tenth is held out: its documents
are of the same kinds, and others.
"""

from collections import defaultdict
from collections.abc import Iterator

from tejat.data.corpus import media_concepts
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.presenting import arithmetic, physics
from tejat.data.shards import Item

LEVELS = (1, 2, 3, 4)
COPIES = 100  # of each task and level
SHORT, LONG = (8, 16, 32, 64), (128, 256, 512, 1024, 2048, 3200)  # pairs of a list to retrieve from
LEAST = 6  # words of a category


def sums(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "arithmetic"."""
    for number in range(COPIES):
        for task in range(len(arithmetic.TASKS)):
            for level in LEVELS:
                yield Item("arithmetic", {"task": task, "level": level, "number": number})


def solutions(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "physics"."""
    for number in range(4 * COPIES):
        for problem in range(len(physics.PROBLEMS)):
            yield Item("physics", {"problem": problem, "number": number})


def lists(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "retrieval" for rows of a few thousand tokens."""
    for number in range(4 * COPIES):
        for pairs in SHORT:
            yield Item("retrieval", {"pairs": pairs, "number": number})


def long_lists(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "retrieval" for up to 32k tokens."""
    for number in range(2 * COPIES):
        for pairs in LONG:
            yield Item("retrieval", {"pairs": pairs, "number": number})


def instructions(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "instruction": a category of concepts with the names of its members, by language."""
    words: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    categories: dict[str, dict[str, str]] = {}
    for concept in media_concepts.read(paths):
        if media_concepts.is_held_out(concept.id) or concept.group == "flags":
            continue
        categories[concept.subgroup] = concept.categories
        for language, name in concept.names.items():
            if language in concept.categories and len(name) <= 30 and not {",", ";", ":"} & {*name}:
                words[concept.subgroup][language].append(name)
    for subgroup, by_language in words.items():
        told = {language: list(dict.fromkeys(names)) for language, names in by_language.items()}
        told = {language: names for language, names in told.items() if len(names) >= LEAST}
        if "en" not in told:
            dropped.drop(f"categories below {LEAST} words", subgroup)
            continue
        category = {language: categories[subgroup][language] for language in told}
        yield Item("instruction", {"category": category, "words": told, "group": f"instruction/{subgroup}"})


def heldout(item: Item) -> bool:
    """Of what is generated, every tenth number."""
    return item.fields["number"] % 10 == 9
