"""Training a text tokenizer: the same every time, its sample told, and nothing written where it cannot be."""

import dataclasses
import hashlib
import json

import pytest

from tejat import sample
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.text_sample import Group, Passage
from tejat.errors import BadInput
from tejat.train import text_tokenizer
from tejat.train.text_tokenizer import TextRecipe


def prose(corpus, split):
    for language in sample.languages():
        for line in sample.prose(language, split == "heldout").splitlines():
            yield Passage(line + "\n", Group(language, "prose"))


RECIPE = TextRecipe(
    name="little",
    read=prose,
    pieces=1_500,
    bytes=200_000,
    temperature=2.0,
    coverage=0.98,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    return directory, text_tokenizer.train(RECIPE, directory)


def test_the_same_recipe_makes_the_same_tokenizer(trained, tmp_path):
    directory, found = trained
    assert text_tokenizer.train(RECIPE, tmp_path) == found
    for name in ("tokenizer.model", "sample.json"):
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes()


def test_the_sample_is_told(trained):
    directory, found = trained
    assert json.loads((directory / "sample.json").read_text()) == found
    model = (directory / "tokenizer.model").read_bytes()
    assert found["tokenizer_sha256"] == hashlib.sha256(model).hexdigest()
    assert Vocabulary(model, 0).size == found["pieces"] == 1_500
    assert sum(group["drawn"] for group in found["groups"]) == found["bytes"]
    assert abs(found["bytes"] - 200_000) < 20_000
    rows = text_tokenizer.languages(found)
    assert {name for name, _, _ in rows} == set(sample.languages())
    assert all(0 < drawn <= there == len(sample.prose(name).encode()) for name, there, drawn in rows)


def test_nothing_is_written_over_or_half(trained, tmp_path):
    directory, _ = trained
    with pytest.raises(BadInput, match="holds an earlier tokenizer"):
        text_tokenizer.train(RECIPE, directory)
    for change, told in (({"kind": "words"}, "of kind 'words'"), ({"pieces": 400}, "ask for more than")):
        with pytest.raises(BadInput, match=told):
            text_tokenizer.train(dataclasses.replace(RECIPE, **change), tmp_path / "new")
        assert not (tmp_path / "new").exists()
