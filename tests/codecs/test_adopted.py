"""Public tokenizers under our marks: whole, and cut to a size."""

import io

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat import sample
from tejat.codecs.adopted import adopt
from tejat.codecs.vocabulary import CONTROLS, Vocabulary
from tejat.errors import BadInput

OURS = 4 + len(CONTROLS)


def public(size: int, **settings) -> bytes:
    """A tokenizer as other projects train theirs."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sample.prose("de").splitlines() + sample.prose("ru").splitlines()),
        model_writer=model,
        vocab_size=size,
        **{"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity", "pad_id": -1} | settings,
        minloglevel=2,
    )
    return model.getvalue()


@pytest.fixture(scope="module")
def large() -> bytes:
    return public(1_500)


def pieces(model: bytes) -> list[str]:
    found = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [found.id_to_piece(i) for i in range(found.get_piece_size())]


def test_cut_to_a_size_it_is_what_training_to_that_size_gives(large):
    """The claim that makes a comparison at one size honest."""
    marks = 3  # <unk>, <s>, </s>
    cut = adopt(large, 1_000 + OURS - marks)
    assert pieces(cut)[OURS:] == pieces(public(1_000))[marks:]
    assert pieces(cut)[OURS:] != pieces(large)[marks:][: 1_000 - marks]  # characters come last, and are all kept


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["<s>", " a  b ", "\u2581", *CONTROLS]))
@pytest.mark.parametrize("size", [None, 900])
def test_text_comes_back_and_makes_no_mark(large, size, text):
    vocabulary = Vocabulary(adopt(large, size), 0)
    assert vocabulary.size == size or size is None
    tokens = vocabulary.encode(text)
    assert vocabulary.decode(tokens) == text
    assert all(token >= OURS for token in tokens)


def test_whole_it_cuts_text_as_it_did(large):
    vocabulary, before = Vocabulary(adopt(large), 0), sentencepiece.SentencePieceProcessor(model_proto=large)
    words = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Все люди рождаются свободными 𒀀"
    known = pieces(adopt(large))
    # It puts a space before every text, and ours does not.
    assert [known[token] for token in vocabulary.encode(" " + words)] == before.encode(words, out_type=str)


@pytest.mark.parametrize(
    "model, size, told",
    [
        (lambda: b"no tokenizer", None, "not a SentencePiece model"),
        (lambda: public(1_200, byte_fallback=False), None, "cannot spell every byte"),
        (lambda: public(1_200, normalization_rule_name="nfkc"), None, "normalises text"),
        (lambda: public(1_200, model_type="unigram"), 900, "no BPE"),
        (lambda: public(1_200), 400, "choose from 4.* to 1,278"),
        (lambda: public(1_200), 1_279, "choose from 4.* to 1,278"),
    ],
)
def test_what_cannot_be_compared_is_refused(model, size, told):
    with pytest.raises(BadInput, match=told):
        adopt(model(), size)
