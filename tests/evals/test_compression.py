"""Bytes a token, counted by hand."""

import pytest
from PIL import Image

from tejat import sample
from tejat.codecs.vocabulary import Vocabulary, train
from tejat.data.text_sample import Group, Passage
from tejat.evals.compression import compare, plot, tables


@pytest.fixture(scope="module")
def tokenizers():
    lines = sample.prose("en").splitlines()[:60]
    return {name: Vocabulary(train(lines, size), 0) for name, size in (("long", 700), ("short", 450))}


PASSAGES = [
    Passage("the cat", Group("en", "prose")),
    Passage("猫猫", Group("zh", "prose")),
    Passage("\n\n", Group("zxx", "code")),
]


def test_what_is_counted(tokenizers):
    found = compare(tokenizers, PASSAGES)
    assert [(row.name, row.bytes) for row in found.languages] == [("en", 7), ("zh", 6), ("zxx", 2)]
    assert [(row.name, row.bytes) for row in found.domains] == [("prose", 13), ("code", 2)]
    for name, vocabulary in tokenizers.items():
        each = [len(vocabulary.encode(text)) for text, _ in PASSAGES]
        assert [row.tokens[name] for row in found.languages] == each
        assert found.all.tokens[name] == sum(each)
        # Two characters without a piece are six tokens, each a byte of one; a line's end is a character of its own.
        assert [row.spelled[name] for row in found.languages] == [0, 6, 0]
    english = found.to_json()["languages"][0]
    assert english["bytes_per_token"]["long"] == pytest.approx(7 / len(tokenizers["long"].encode("the cat")), abs=1e-4)


def test_it_is_shown(tokenizers, tmp_path):
    found = compare(tokenizers, [*PASSAGES[:1], *PASSAGES[1:2] * 800, *PASSAGES[2:]])
    lines = tables(found).splitlines()
    assert lines[0] == "| language | bytes | long | short |"
    assert lines[2].startswith("| zh | 4,800 | **1.00** | **1.00** |")
    assert lines[3].startswith("| mean of 1 | 4,800 | **1.00** | **1.00** |")  # of the others there is too little
    assert lines[5] == "| domain | bytes | long | short |" and [line.split()[1] for line in lines[7:]] == [
        "prose",
        "code",
        "all",
    ]
    assert found.to_json()["mean"] == {"languages": 1, "long": 1.0, "short": 1.0}
    plot(found, tmp_path / "report.png")
    with Image.open(tmp_path / "report.png") as image:
        assert image.width > 900
