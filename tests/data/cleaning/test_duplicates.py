"""Duplicates: the first stays, in any batch; what is nearly the same goes, what is not stays."""

import numpy as np
import pytest

from tejat import sample
from tejat.data.cleaning.duplicates import HELD_OUT, Exact, Near
from tejat.data.cleaning.words import runs, words
from tejat.data.shards import Item
from tejat.parts import Document, Image, Text

pytest.importorskip("rensa")


def items(texts: list[str], language: str = "en") -> list[Item]:
    return [Item("text", {"text": text, "language": language}) for text in texts]


def kept(step, texts: list[str]) -> list[str]:
    return [item.fields["text"] for item in step(items(texts), "tests")]


@pytest.fixture(scope="module")
def passages() -> list[str]:
    """Of some 60 to 300 words, all different, in three scripts."""
    found = []
    for language in ("en", "ru", "ja"):
        lines = sample.prose(language).splitlines()
        found += ["\n".join(lines[k : k + 3]) for k in range(0, 120, 3)]
    return found


def likeness(one: str, other: str) -> float:
    """Jaccard similarity of their runs of five words, as it is."""
    mine, theirs = (set(runs(words([text]), Near.RUN)[0].tolist()) for text in (one, other))
    return len(mine & theirs) / len(mine | theirs)


def changed(text: str, share: float, seed: int = 0) -> str:
    """The text with a share of its words, or of its characters where there are no spaces, replaced in one stretch."""
    parts = text.split(" ") if text.count(" ") > len(text) / 15 else list(text)
    size = round(share * len(parts))
    at = np.random.default_rng(seed).integers(0, len(parts) - size + 1)
    parts[at : at + size] = [f"{k}x" for k in range(size)]
    return (" " if " " in text and len(parts) < len(text) else "").join(parts)


def test_exact_keeps_the_first_and_counts_the_rest():
    texts = [f"text {k % 700}" for k in range(1_500)]
    step = Exact()
    assert kept(step, texts) == texts[:700]
    assert step.report.counts == (1_500, 800)
    assert step.report.dropped["the same"][("tests", "en")] == 800
    assert kept(step, ["TEXT   3", "new"]) == ["new"]


def test_exact_looks_at_media_and_fields_but_not_at_what_tells_of_them():
    drawing = Item("drawing", {"name": "a cat", "id": "1"}, {"svg": b"<svg>1</svg>"})
    others = [
        Item("drawing", {"name": "a cat", "id": "2"}, {"svg": b"<svg>1</svg>"}),
        Item("drawing", {"name": "a cat", "id": "1"}, {"svg": b"<svg>2</svg>"}),
        Item("drawing", {"name": "a dog", "id": "1"}, {"svg": b"<svg>1</svg>"}),
    ]
    assert list(Exact()([drawing, *others])) == [drawing, *others[1:]]
    pixels = np.zeros((2, 2, 3), np.uint8)
    documents = [Document.of([Text("x"), Image(pixels + k)], source=str(k)) for k in (0, 0, 1)]
    assert list(Exact()(documents)) == [documents[0], documents[2]]


def test_near_keeps_all_that_differ(passages):
    assert kept(Near(), passages) == passages


@pytest.mark.parametrize("share", [0.01, 0.03, 0.1, 0.3])
def test_near_drops_what_is_nine_tenths_alike_and_keeps_what_is_seven(passages, share):
    copies = [changed(text, share, seed) for seed, text in enumerate(passages)]
    step = Near()
    left = kept(step, passages + copies)
    assert left[: len(passages)] == passages
    missed = set(left[len(passages) :])
    alike = {copy: likeness(text, copy) for text, copy in zip(passages, copies, strict=True)}
    near = [copy for copy in copies if alike[copy] >= 0.9]
    far = [copy for copy in copies if alike[copy] <= 0.66]
    assert sum(copy in missed for copy in near) <= 0.05 * len(near)
    assert sum(copy not in missed for copy in far) <= 0.02 * len(far)
    assert near if share < 0.02 else far if share > 0.2 else True
    if near:
        assert "≈" in step.report.examples["nearly the same"][0]


def test_near_does_not_judge_short_texts_and_other_kinds(passages):
    short = ["Press the button.", "Press the button!"]
    assert kept(Near(), short) == short
    pictures = [Item("drawing", {"text": passages[0]}, {"svg": b"<svg/>"})] * 2
    assert list(Near()(pictures)) == pictures


@pytest.mark.parametrize("make", [Exact, Near])
def test_what_is_remembered_goes_and_what_was_held_out_is_told(make, passages):
    step = make()
    step.remember(items(passages[:30]), heldout=True)
    step.remember(items(passages[30:60]))
    assert kept(step, passages[:90]) == passages[60:90]
    reasons = {reason: found.total() for reason, found in step.report.dropped.items()}
    assert sorted(reasons.values()) == [30, 30]
    assert sum(count for reason, count in reasons.items() if HELD_OUT in reason) == 30


@pytest.mark.parametrize("make", [Exact, Near])
def test_what_stays_while_held_out_is_told_from_what_is_trained_on(make, passages):
    step = make()
    step.heldout = True
    assert kept(step, passages[:30] + passages[:10]) == passages[:30]
    assert not any(HELD_OUT in reason for reason in step.report.dropped)
    step.heldout = False
    assert kept(step, passages[20:60] + passages[40:60]) == passages[30:60]
    told = {reason: found.total() for reason, found in step.report.dropped.items()}
    assert sorted((HELD_OUT in reason, count) for reason, count in told.items()) == [(False, 30), (True, 10)]


def test_near_is_the_same_in_any_batches(passages):
    copies = [changed(text, 0.02, seed) for seed, text in enumerate(passages)]
    mixed = [text for pair in zip(passages, copies, strict=True) for text in pair]
    one, other = Near(), Near()
    whole = kept(one, mixed)
    pieces = [text for k in range(0, len(mixed), 7) for text in kept(other, mixed[k : k + 7])]
    assert whole == pieces and one.report.counts == other.report.counts
