"""Steps of proofs: true ones follow, those with a symbol changed do not, and nothing is proved by itself."""

import pytest

from tejat.evals import proofs
from tejat.evals.ground import Ground
from tejat.evals.proofs import Library, Theorem, _said

THEOREMS = proofs.RULES | {
    "syl": Theorem((_said("( ph -> ps )"), _said("( ps -> ch )")), _said("( ph -> ch )")),
    "eqid": Theorem((), _said("A = A")),
}
LIBRARY = Library(THEOREMS, frozenset(_said("ph ps ch th ( ) -> -. A. x y = A B { | } e. + E.")))


@pytest.mark.parametrize(
    ("name", "formula", "known", "right"),
    [
        ("ax-mp", "ps", ["ph", "( ph -> ps )"], True),
        ("ax-mp", "ps", ["( ph -> ps )"], False),
        ("ax-mp", "ch", ["ph", "( ph -> ps )"], False),
        ("syl", "( ph -> ( th -> ph ) )", ["( ph -> ps )", "( ps -> ( th -> ph ) )"], True),
        ("syl", "( ph -> th )", ["( ph -> ps )", "( ch -> th )"], False),
        ("ax-1", "( ( ph -> ps ) -> ( ch -> ( ph -> ps ) ) )", [], True),
        ("ax-1", "( ( ph -> ps ) -> ( ch -> ( ps -> ph ) ) )", [], False),
        ("ax-1", "( ph -> ( ps -> ph )", [], False),
        ("ax-gen", "A. y ( ph -> ph )", ["( ph -> ph )"], True),
        ("ax-gen", "A. A ph", ["ph"], False),
        ("eqid", "( A + B ) = ( A + B )", [], True),
        ("eqid", "{ x | ph } = { x | ph }", [], True),
        ("eqid", "ph = ph", [], False),
        ("eqid", "( ph -> ps ) = ( ph -> ps )", [], False),
        ("none", "ph", ["ph"], False),
        ("ax-mp", "made", ["ph", "( ph -> made )"], False),
    ],
)
def test_verify(name: str, formula: str, known: list[str], right: bool) -> None:
    lines = [tuple(line.split()) for line in known]
    assert proofs.verify(name, tuple(formula.split()), lines, LIBRARY) is right


def test_items_choose_one_step_that_follows(ground: Ground) -> None:
    items = proofs.items(ground)
    assert items
    for item in items:
        follows = [choice for choice in item.choices if proofs.follows(ground, choice, item)]
        assert follows == [item.answers[0]]
        # Another way to go on is right too, whatever the answer says after its first line.
        assert proofs.follows(ground, "ax-1: ( ph -> ( ps -> ph ) )\nand so on", item)
        theorem = item.cluster.partition("/")[2]
        assert not proofs.follows(ground, f"{theorem}: ch", item)


def test_a_search_that_explodes_ends() -> None:
    deep = " ".join(["("] * 12 + ["ph"] + ["-> ph )"] * 12)
    assert proofs.verify("syl", tuple(deep.split()), [tuple(deep.split())] * 40, LIBRARY) is False
