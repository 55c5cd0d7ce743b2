"""What is drawn on request and changed, what is told of it, who the model is, and what it does not know."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.presenting import concepts, edits, persona, sprites, talks
from tejat.data.presenting.wording import LANGUAGES, wordings
from tejat.data.shards import Item
from tejat.parts import Image, Text

pytest.importorskip("resvg_py", reason="needs `pip install tejat[data]`")

COLOURS = ("red", "lime", "blue", "gold", "black")


def half(colour: str) -> bytes:
    """A shape that is another one mirrored, and another upside down."""
    shape = f'<path d="M0 0h16v16z" fill="{colour}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{shape}</svg>'.encode()


ITEMS = [
    Item(
        "concept",
        {"names": {tag: f"{tag} {c}" for tag in (*LANGUAGES, "sw")}, "tags": [c, "round", "disc"], "emoji": "⚪",
         "category": {tag: f"{tag} kind" for tag in LANGUAGES}},
        {"noto.svg": half(c), "twemoji.svg": half(c)},
    )
    for c in COLOURS
]  # fmt: skip
SEEDS = st.integers(0, 10_000)
MADE = {"edit": edits.edit, "pattern": edits.pattern, "told": talks.told, "mixed": talks.mixed, "draw": concepts.draw,
        "book": concepts.book}  # fmt: skip


@pytest.mark.parametrize("kind", MADE)
def test_what_the_model_says_and_draws_is_learnt_and_fits_a_row(kind):
    for seed in range(24):
        document = MADE[kind](ITEMS, seed % len(ITEMS), np.random.default_rng(seed))
        assert document == MADE[kind](ITEMS, seed % len(ITEMS), np.random.default_rng(seed))
        drawn = [part for part, learnt in zip(document.parts, document.loss, strict=True) if learnt]
        assert drawn and sum(isinstance(part, Image) for part in drawn) <= edits.PICTURES
        if None in document.roles:
            assert kind == "draw" and all(document.loss)
            continue
        assert document.loss == tuple(role == "model" for role in document.roles)
        for turn in document.turns():
            if turn.role == "model" and any(isinstance(part, Image) for part in turn.parts):
                # A short phrase, then its picture, however many.
                assert [type(part) for part in turn.parts] == [Text, Image] * (len(turn.parts) // 2)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_named_things_are_not_drawn_unasked(seed):
    document = talks.told(ITEMS, seed % len(ITEMS), np.random.default_rng(seed))
    assert all(isinstance(part, Text) for part in document.parts)


@pytest.fixture(scope="module")
def plain() -> edits.Drawing:
    return edits.drawing(ITEMS[0], "en", np.random.default_rng(0))


def pixels(made: edits.Drawing) -> np.ndarray:
    return made.picture().pixels.astype(int)


def test_changes_are_exact(plain):
    red = pixels(plain)
    assert np.array_equal(pixels(replace(plain, mirrored=True)), red[:, ::-1])
    assert np.array_equal(pixels(replace(plain, flipped=True)), red[::-1])
    assert not np.array_equal(red, red[:, ::-1]) and not np.array_equal(red, red[::-1])
    on_green = pixels(replace(plain, ground=3))
    assert (on_green[64, 2] == np.asarray(sprites.coloured_ground(3, 1, 1))[0, 0]).all()
    assert np.array_equal(on_green[30, 90], red[30, 90])  # the thing stays as it is
    blue = pixels(replace(plain, tint=5))[30, 90]
    assert blue[2] > blue[0] + 60 and (pixels(replace(plain, tint=5))[64, 2] == 255).all()
    assert (pixels(replace(plain, scale=0.55)) < 200).any(-1).sum() < 0.5 * (red < 200).any(-1).sum()


@pytest.mark.parametrize("count", range(2, edits.MOST + 1))
def test_so_many_are_drawn_as_are_told(plain, count):
    from scipy import ndimage

    many = replace(plain, count=count)
    assert many.told() == f"{count} × en red"
    assert ndimage.label((pixels(many) < 200).any(-1))[1] == count


def test_so_many_are_asked_for_in_figures_and_in_words():
    numbers, found = edits.WORDS["numbers"]["de"], set()
    for seed in range(200):
        random = np.random.default_rng(seed)
        asked, made = edits.begun(edits.drawing(ITEMS[0], "de", random), "de", random)
        if made.count > 1:
            figure, word = str(made.count) in asked, numbers[made.count - 2] in asked.lower()
            assert figure != word and made.answer().parts[0].text.startswith(f"{made.count} × ")
            found.add(figure)
    assert found == {True, False} and {len(words) for words in edits.WORDS["numbers"].values()} == {edits.MOST - 1}


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_every_change_can_be_seen(seed):
    random = np.random.default_rng(seed)
    made = edits.drawing(ITEMS[seed % len(ITEMS)], "de", random)
    for _ in range(3):
        asked, after = edits.changed(made, ITEMS, seed % len(ITEMS), "de", random)
        assert asked and not np.array_equal(pixels(made), pixels(after))
        made = after


def test_an_example_is_followed_in_style_or_colour():
    for seed in range(20):
        document = edits.pattern(ITEMS, 0, np.random.default_rng(seed))
        shown, answered = document.turns()
        assert [type(part) for part in shown.parts] == [Text, Image, Image, Text]
        names = [part.text for part in answered.parts if isinstance(part, Text)]
        said = " ".join(part.text for part in shown.parts if isinstance(part, Text)).lower()
        assert len(names) == 2 and all(name.lower() in said for name in names)


def test_who_it_is_and_what_it_does_not_know():
    words = wordings("self")
    answers = {use: {text for texts in words[use].values() for text in texts} for use in words}
    known = set.union(*(answers[use] for use in persona.ANSWERS.values()))
    for seed in range(80):
        document = persona.dialogue(np.random.default_rng(seed))
        for turn in document.turns():
            if turn.role == "model" and turn.parts[0].text not in known:
                assert any(
                    name in turn.parts[0].text
                    for texts in words["places"].values() for name in texts
                ) or any(text.split("{name}")[0] in turn.parts[0].text for text in answers["no_such"])  # fmt: skip


def test_a_country_that_is_none_is_named_as_it_was():
    for seed in range(200):
        asked, told = persona.nowhere("en", np.random.default_rng(seed))
        answer = told.parts[0].text
        name = (
            answer.removeprefix("I do not know a country called ").removesuffix(".").removesuffix(" is not a country")
        )
        assert name[1:] in asked.parts[0].text


def test_three_of_a_kind_are_of_that_kind():
    document = concepts.three(ITEMS, 0, np.random.default_rng(0))
    assert document is not None
    asked, answer = ("".join(part.text for part in turn.parts) for turn in document.turns())
    assert "en kind" in asked
    named = answer.split(", ")
    assert len({*named}) == 3 and {*named} <= {item.fields["names"]["en"] for item in ITEMS}
    assert concepts.three(ITEMS[:2], 0, np.random.default_rng(0)) is None
