"""Bits per byte: the baseline's probabilities, and a real model's score and continuation."""

import json
import math

import pytest

from tejat import sample
from tejat.api import Model
from tejat.data.shards import Item, Writer
from tejat.evals import prose, prose_suite
from tejat.evals.ground import Ground
from tejat.parts import Document, Text


def test_byte_grams_by_hand() -> None:
    grams = prose.ByteGrams(b"ab")
    # Of the empty context: 2 bytes, 2 kinds. P(a) = (1 + 2/256) / 4. After a: 1 byte, 1 kind: P(b|a) = (1 + P(b)) / 2.
    alone = (1 + 2 / 256) / 4
    assert grams.bits(b"a") == pytest.approx(-math.log2(alone))
    assert grams.bits(b"ab") == pytest.approx(-math.log2(alone) - math.log2((1 + alone) / 2))


def test_byte_grams_are_a_distribution() -> None:
    grams = prose.ByteGrams(b"the cat sat on the mat")
    for context in (b"", b"t", b"the", b"at ", b"xyz"):
        before = grams.bits(context)
        after = [2 ** (before - grams.bits(context + bytes([byte]))) for byte in range(256)]
        assert sum(after) == pytest.approx(1.0)


def test_byte_grams_of_nothing_are_uniform() -> None:
    assert prose.ByteGrams(b"").bits(b"abc") == pytest.approx(24)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_byte_grams_beat_one_byte_at_a_time(language: str) -> None:
    text = sample.prose(language, heldout=True).encode()
    counts = [text.count(bytes([byte])) for byte in set(text)]
    entropy = -sum(n / len(text) * math.log2(n / len(text)) for n in counts)
    assert prose.ByteGrams(sample.prose(language).encode()).bits(text) / len(text) < 0.7 * entropy


def test_continuing_is_the_models_score_over_bytes(micro) -> None:
    model = Model(micro)
    paragraphs = ["Everyone has the right to life.", "すべての人は、生命の権利を有する。"]
    task = prose.Continuing("s", "t", lambda: prose.paragraphs("t", lambda: paragraphs), lambda: "")
    outcomes = task.measure(model, task.items())
    for text, outcome in zip(paragraphs, outcomes, strict=True):
        nats = model.score(Document.of((Text(text),))).total
        assert outcome.score == pytest.approx(-nats / math.log(2), rel=1e-4)
        assert outcome.weight == len(text.encode())
    found = task.estimate(outcomes, ["0", "1"])
    assert found.value == pytest.approx(sum(o.score for o in outcomes) / sum(len(t.encode()) for t in paragraphs))
    assert task.better == "lower" and task.controls(task.items()) == {}


def test_continuations_are_the_likeliest_words(micro) -> None:
    beginnings = ["Everyone has the right to", "No one shall be"]
    both = prose.continuations(Model(micro), beginnings, max_tokens=8)
    assert both == [prose.continuations(Model(micro), [text], max_tokens=8)[0] for text in beginnings]
    assert all(isinstance(part, Text) and part.text for parts in both for part in parts)


def test_the_baseline_is_trained_on_all_of_a_source_and_not_on_its_beginning(tmp_path, monkeypatch) -> None:
    texts = [("ar" if n < 20 else "en", f"{'ab' if n < 20 else 'cd'} " * 50) for n in range(40)]
    with Writer(tmp_path, "manuals", "train") as writer:
        for n, (language, text) in enumerate(texts):
            writer.write(Item("text", {"text": text, "language": language, "group": str(n)}))
    (tmp_path / "corpus.json").write_text(json.dumps({"name": "one", "sources": {"manuals": {}}}))
    monkeypatch.setattr(prose_suite, "TRAINING", 10 * len(texts[0][1]))
    found = prose_suite.training(Ground(tmp_path), "manuals")
    assert {*found.split()} == {"ab", "cd"} and len(found) < 12 * len(texts[0][1])
