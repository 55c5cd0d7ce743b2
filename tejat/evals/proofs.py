"""The next step of a Metamath proof: chosen among steps of others, or written and verified.

A step "name: formula" follows if the theorem `name`, under some substitution for its variables, says the formula, and
everything that it assumes is given or was proved before. Theorems are those of the corpus and Metamath's rules of
inference. Substitutions are found by matching, of formulas with even brackets; their kinds are told by the letters of
set.mm, so that a class is never put for a formula.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from tejat.evals.ground import Ground, mixed, rng
from tejat.evals.tasks import Item
from tejat.parts import Text, Turn

SOURCE = "metamath"
FORMULAS = frozenset(("ph", "ps", "ch", "th", "ta", "et", "ze", "si", "rh", "mu", "la", "ka"))
SETS = frozenset("abcdefghijklmnopqrstuvwxyz")
CLASSES = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
CONNECTIVES = frozenset(("->", "<->", "/\\", "\\/", "-/\\", "\\/_"))  # in the brackets of a formula, not of a class
OPENS, CLOSES = frozenset("({[") | {"<."}, frozenset(")}]") | {">."}
LONGEST = 900  # characters of a theorem with its proof
WORK = 20_000  # matches that are tried for one step

Formula = tuple[str, ...]


class Theorem(NamedTuple):
    """What it assumes, and what it says."""

    given: tuple[Formula, ...]
    says: Formula


class Library(NamedTuple):
    """Theorems by name, and all symbols that they are made of."""

    theorems: dict[str, Theorem]
    symbols: frozenset[str]


def _said(text: str) -> Formula:
    return tuple(text.split())


RULES = {
    "ax-mp": Theorem((("ph",), _said("( ph -> ps )")), ("ps",)),
    "ax-1": Theorem((), _said("( ph -> ( ps -> ph ) )")),
    "ax-2": Theorem((), _said("( ( ph -> ( ps -> ch ) ) -> ( ( ph -> ps ) -> ( ph -> ch ) ) )")),
    "ax-3": Theorem((), _said("( ( -. ph -> -. ps ) -> ( ps -> ph ) )")),
    "ax-gen": Theorem((("ph",),), _said("A. x ph")),
}


def items(ground: Ground) -> list[Item]:
    """Proofs up to some step, and four steps to go on with, one of them the proof's own."""
    texts = [raw.fields for raw in ground.heldout(SOURCE) if "\nProof:\n" in raw.fields["text"]]
    shards = [fields for fields in texts if len(fields["text"]) <= LONGEST]
    library = read(ground)
    pool = [line for fields in shards for line in fields["text"].partition("\nProof:\n")[2].splitlines()]
    made = []
    for fields in ground.some(shards, "proofs"):
        head, _, proof = fields["text"].partition("\nProof:\n")
        lines = proof.splitlines()
        random = rng("proofs", fields["group"])
        at = int(random.integers(len(lines)))
        own, before = lines[at], lines[:at]
        label = fields["group"].partition("/")[2]
        known = _known(head, before)
        wrong: list[str] = []
        for n in random.permutation(len(pool))[:200]:
            line = pool[int(n)]
            # An instance of a theorem without assumptions would be a step as good as the proof's own.
            if len(wrong) < 3 and line not in wrong and not _goes_on(line, label, known, library):
                wrong.append(line)
        prompt = f"What is the next step of this proof?\n\n{head}\nProof:\n" + "\n".join(before)
        made.append(
            Item(
                *(f"{label}-{at}", fields["group"], (Turn("user", (Text(prompt.rstrip()),)),), (own,)),
                choices=mixed(own, wrong, random),
                chance=1 / (1 + len(wrong)),
                tags={"steps before": "none" if not before else "1 – 3" if len(before) < 4 else "4 and more"},
                material={"head": head, "before": before},
            )
        )
    return made


def follows(ground: Ground, said: str, item: Item) -> bool:
    """Is the first line of an answer a step of the proof, or another that follows?"""
    line = said.strip().partition("\n")[0].strip()
    if line == item.answers[0]:
        return True
    head, before = item.material["head"], item.material["before"]
    return _goes_on(line, item.cluster.partition("/")[2], _known(head, before), read(ground))


def _known(head: str, before: Sequence[str]) -> list[Formula]:
    """What a proof may use: what its theorem assumes, and the steps so far."""
    given = re.search(r"^Given: (.*)", head, re.MULTILINE)
    assumed = [tuple(part.split()) for part in given[1].split(" ; ")] if given else []
    return assumed + [tuple(step.partition(": ")[2].split()) for step in before]


def _goes_on(line: str, theorem: str, known: Sequence[Formula], library: Library) -> bool:
    """Does a line follow? No theorem proves itself."""
    name, _, formula = line.partition(": ")
    return name != theorem and verify(name, tuple(formula.split()), known, library)


def verify(name: str, formula: Formula, known: Sequence[Formula], library: Library) -> bool:
    """Does the formula follow from what is known by the theorem of this name?"""
    theorem = library.theorems.get(name)
    if theorem is None or not formula or not _even(formula) or not library.symbols.issuperset(formula):
        return False
    budget = [WORK]

    def every(given: Sequence[Formula], found: dict[str, Formula]) -> bool:
        if not given:
            return True
        return any(every(given[1:], further) for line in known for further in _matches(given[0], line, found, budget))

    # What is assumed of variables that the statement does not have is matched to what is known.
    return any(every(theorem.given, found) for found in _matches(theorem.says, formula, {}, budget))


def _matches(
    pattern: Formula, formula: Formula, found: dict[str, Formula], budget: list[int]
) -> Iterator[dict[str, Formula]]:
    """Substitutions for the variables of a pattern that make it the formula."""
    budget[0] -= 1
    if budget[0] < 0 or len(pattern) > len(formula):
        return
    if not pattern:
        if not formula:
            yield found
        return
    first, rest = pattern[0], pattern[1:]
    if not _is_variable(first):
        if formula and formula[0] == first:
            yield from _matches(rest, formula[1:], found, budget)
        return
    if first in found:
        due = found[first]
        if formula[: len(due)] == due:
            yield from _matches(rest, formula[len(due) :], found, budget)
        return
    longest = 1 if first in SETS else len(formula) - len(rest)
    for size in range(1, longest + 1):
        taken = formula[:size]
        if _kind(first, taken):
            yield from _matches(rest, formula[size:], found | {first: taken}, budget)


def _is_variable(symbol: str) -> bool:
    """In set.mm formulas are Greek letters, sets small ones, classes capitals, and operations begin with a dot."""
    return symbol in FORMULAS or symbol in SETS or symbol in CLASSES or (symbol[0] == "." and len(symbol) > 1)


def _kind(variable: str, taken: Formula) -> bool:
    """May this stand for the variable? A set's name for a set's, a formula for a formula, a class for a class."""
    if variable in SETS:
        return taken[0] in SETS
    if not _even(taken):
        return False
    alone = len(taken) == 1
    logical = _is_closed(taken) and any(s in CONNECTIVES for s in _inside(taken))
    if variable in FORMULAS:
        return taken[0] in FORMULAS if alone else logical or not _is_closed(taken)
    return not (
        logical or taken[0] in ("-.", "A.", "E.", "F/") or (alone and taken[0] in FORMULAS) or "=" in _outside(taken)
    )


def _is_closed(formula: Formula) -> bool:
    """Is it one pair of brackets and what is in them?"""
    depth = 0
    for at, symbol in enumerate(formula):
        depth += (symbol in OPENS) - (symbol in CLOSES)
        if depth <= 0:
            return at == len(formula) - 1 and len(formula) > 1
    return False


def _inside(formula: Formula) -> list[str]:
    """The symbols of a closed formula that are in no further brackets."""
    return _outside(formula[1:-1])


def _outside(formula: Formula) -> list[str]:
    """The symbols in no brackets."""
    found, depth = [], 0
    for symbol in formula:
        depth -= symbol in CLOSES
        if not depth:
            found.append(symbol)
        depth += symbol in OPENS
    return found


def _even(formula: Formula) -> bool:
    depth = 0
    for symbol in formula:
        depth += (symbol in OPENS) - (symbol in CLOSES)
        if depth < 0:
            return False
    return depth == 0


@lru_cache(maxsize=2)
def read(ground: Ground) -> Library:
    """Every theorem of the corpus, by name."""
    found = dict(RULES)
    for split in ("train", "heldout"):
        for raw in ground.shards(SOURCE, split):
            text = raw.fields["text"]
            says = re.search(r"^Statement: (.*)", text, re.MULTILINE)
            if says:
                given = re.search(r"^Given: (.*)", text, re.MULTILINE)
                parts = tuple(tuple(part.split()) for part in given[1].split(" ; ")) if given else ()
                found[raw.fields["group"].partition("/")[2]] = Theorem(parts, tuple(says[1].split()))
    return Library(found, frozenset(s for t in found.values() for f in (t.says, *t.given) for s in f))
