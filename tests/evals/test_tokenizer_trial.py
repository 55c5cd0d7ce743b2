"""The same model trained with each tokenizer: what it is given, what is compared, and one trial from end to end."""

import dataclasses
import math

import numpy as np
import pytest

from tejat import sample
from tejat.api import Model
from tejat.bundle import Bundle
from tejat.codecs.framing import Framing
from tejat.codecs.vocabulary import Vocabulary, train
from tejat.data.text_sample import Group, Passage
from tejat.errors import BadInput
from tejat.evals import tokenizer_trial
from tejat.evals.tokenizer_trial import ROW, Plan, Run, Texts, bits_per_byte, short, summary, table, text_only
from tejat.model import family, multimodal
from tejat.model.decoder import DecoderConfig

PIECES = 500
SMALL = dataclasses.replace(
    family.micro(),
    decoder=DecoderConfig(vocabulary=PIECES, width=16, layers=2, heads=2, mlp=24, head_width=8, window=64, period=2),
)
HELD_OUT = [Passage(sample.prose(language, True)[:1_500], Group(language, "prose")) for language in ("en", "de")]


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Vocabulary]:
    both = sample.prose("en").splitlines() + sample.prose("de").splitlines()
    made = {"both": train(both, PIECES), "ru": train(sample.prose("ru").splitlines(), PIECES)}
    return {name: Vocabulary(model, 0) for name, model in made.items()}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_text_fits_a_row_whatever_the_tokenizer(language, tokenizers):
    for text in short([sample.prose(language)]):
        assert max(len(vocabulary.encode(text)) for vocabulary in tokenizers.values()) + 2 <= ROW
    assert "".join(short([sample.prose(language)])) == sample.prose(language)


def test_the_stream_draws_each_text_once_a_pass(tokenizers):
    framing = Framing(text_only(SMALL, PIECES), tokenizers["both"], None)
    texts = [f"text {k}" for k in range(20)]

    def first_pass(seed, order):
        source = Texts(texts, framing, {}, seed)
        return [framing.vocabulary.decode(source(k).tokens) for k in order]

    forward = first_pass(1, range(40))
    assert sorted(forward[:20]) == sorted(forward[20:]) == sorted(texts)
    assert forward[:20] != forward[20:] and first_pass(2, range(20)) != forward[:20]
    # Any number can be asked for at any time.
    assert first_pass(1, reversed(range(40))) == forward[::-1]


def test_bits_per_byte_of_a_model_that_knows_nothing(tokenizers):
    """Weights of zero make every token equally likely."""
    config = text_only(SMALL, PIECES)
    zeros = Model(Bundle(config, tokenizers["both"], _zeros(config), None))
    found = bits_per_byte(zeros, HELD_OUT)
    for text, group in HELD_OUT:
        tokens = len(tokenizers["both"].encode(text)) + 1  # its end is predicted too
        assert found[group.language] == pytest.approx(tokens * math.log2(PIECES) / len(text.encode()), rel=1e-4)
    assert found["all"] == pytest.approx((found["en"] + found["de"]) / 2)


def _zeros(config):
    from tejat.model.params import map_params

    return map_params(lambda param: np.zeros(param.shape, np.float32), multimodal.params(config))


def test_what_is_compared_by_hand():
    def run(name, equal, seed, bits, steps=10):
        return Run(name, equal, seed, steps, 100, 400, 1.0, {"de": bits - 0.5, "en": bits + 0.5, "all": bits})

    runs = []
    for seed, (a, b, c) in enumerate([(2.0, 2.5, 2.1), (2.2, 2.9, 2.3)]):
        runs += [run("ours", "steps", seed, a), run("ours", "bytes", seed, a)]
        runs += [run("other", "steps", seed, b), run("other", "bytes", seed, c, 14)]
    rows = {(row["equal"], row["tokenizer"]): row for row in summary(runs)}
    other = rows["steps", "other"]
    assert other["bits_per_byte"] == pytest.approx({"de": 2.2, "en": 3.2, "all": 2.7})
    assert other["difference"] == pytest.approx(0.6) and other["difference_stderr"] == pytest.approx(0.1)
    assert rows["bytes", "other"]["difference"] == pytest.approx(0.1) and rows["bytes", "other"]["steps"] == 14
    assert rows["bytes", "other"]["difference_stderr"] == pytest.approx(0)
    assert rows["steps", "ours"]["difference"] == 0
    assert "| steps | other | 2 | 10 | 0.0 | 2.700 | +0.600 ± 0.100 |" in table(runs)


def test_tokenizers_of_two_sizes_are_refused(tokenizers):
    other = {"little": Vocabulary(train(sample.prose("en").splitlines(), 400), 0)}
    with pytest.raises(BadInput, match="several sizes .both 500, .*little 400"):
        tokenizer_trial.trial(tokenizers | other, [], [], Plan(1))


@pytest.mark.slow
def test_a_tokenizer_made_for_the_text_makes_the_better_model(tokenizers):
    told = []
    plan = Plan(steps=30, rows=2, seeds=(0,), peak=1e-2, model=SMALL)
    training = [sample.prose("en"), sample.prose("de")]
    runs = tokenizer_trial.trial(tokenizers, training, HELD_OUT, plan, told.append)
    assert runs == told and len(runs) == 4
    by_name = {(run.tokenizer, run.equal): run for run in runs}
    assert by_name["both", "steps"].bits == by_name["both", "bytes"].bits
    assert by_name["ru", "bytes"].steps > by_name["ru", "steps"].steps == 30
    # As many bytes, within the packing of rows.
    assert by_name["ru", "bytes"].bytes == pytest.approx(by_name["both", "bytes"].bytes, rel=0.1)
    assert by_name["both", "steps"].bits["all"] < by_name["ru", "steps"].bits["all"]
