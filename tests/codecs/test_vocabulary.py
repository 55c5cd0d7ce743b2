"""Text to ids and back: the same text to the byte, whatever it is, at once or in a stream."""

import io
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat import sample
from tejat.codecs import vocabulary
from tejat.codecs.vocabulary import BOS, CONTROLS, EOS, LARGEST_SIDE, PAD, TextStream, Vocabulary, cut, train
from tejat.errors import BadInput

RARE = [
    "👩‍👩‍👧‍👦",
    "𒀀",
    "ꙮ",
    "\u2581",
    "\ufffd",
    "\u202e",
    "\ufeff",
    "e\u0301",
    "\0",
    "\r\n",
    " ",
    "   ",
    "\t",
    "\u3000",
    "\u00a0",
]
SPELLED = [*CONTROLS[:3], "<turn|>", "<|picture>", "<pad>", "<eos>", "<bos>", "<unk>", "<s>", "<0x41>"]
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(RARE + SPELLED)).map("".join)
quick = settings(max_examples=150, deadline=None)


@quick
@given(text=texts)
def test_text_comes_back(micro_vocabulary, text):
    assert micro_vocabulary.decode(micro_vocabulary.encode(text)) == text


@pytest.mark.parametrize("text", RARE + SPELLED)
def test_odd_text_comes_back(micro_vocabulary, text):
    for around in (text, f"a{text}b", f" {text} ", text * 2):
        assert micro_vocabulary.decode(micro_vocabulary.encode(around)) == around


@quick
@given(text=texts)
def test_no_text_makes_a_control_token_or_a_code(micro_vocabulary, text):
    forbidden = {PAD, BOS, EOS, *micro_vocabulary.controls.values()}
    tokens = micro_vocabulary.encode(text)
    assert forbidden.isdisjoint(tokens) and not any(map(micro_vocabulary.is_code, tokens))


@quick
@given(data=st.data())
def test_a_stream_says_what_decode_says_and_splits_no_character(micro_vocabulary, data):
    """Any ids, in any pieces: text, stray bytes, control tokens and codes."""
    vocabulary = micro_vocabulary
    low = vocabulary.encode("\U00012000")[0] - 0xF0  # the id of the byte 0
    stray = st.lists(st.integers(low, low + 255), max_size=6) | st.lists(
        st.integers(0, vocabulary.size - 1), max_size=4
    )
    runs = data.draw(st.lists(stray | st.sampled_from(RARE).map(vocabulary.encode), max_size=6))
    tokens = sum(runs, [])
    stream, pieces = TextStream(vocabulary), []
    while tokens:
        count = data.draw(st.integers(1, len(tokens)))
        pieces.append(stream.push(tokens[:count]))
        tokens = tokens[count:]
    pieces.append(stream.finish())
    assert "".join(pieces) == vocabulary.decode(sum(runs, []))


@quick
@given(text=texts)
def test_a_stream_gives_a_character_when_its_last_byte_has_come(micro_vocabulary, text):
    stream, said, sent = TextStream(micro_vocabulary), "", b""
    for token in micro_vocabulary.encode(text):
        said += stream.push([token])
        sent += micro_vocabulary.piece_bytes[token]
        assert said == sent.decode(errors="ignore")  # of valid UTF-8 that leaves out the unfinished end only
    assert stream.finish() == ""


def test_a_broken_end_is_told_at_the_end(micro_vocabulary):
    stream = TextStream(micro_vocabulary)
    assert stream.push(micro_vocabulary.encode("\U00012000")[:3]) == ""
    assert stream.finish() == "\ufffd" and stream.finish() == ""


def test_ids_stand_in_the_order_that_the_module_tells(micro_vocabulary):
    vocabulary = micro_vocabulary
    assert list(vocabulary.controls.values()) == list(range(4, 4 + len(CONTROLS)))
    assert vocabulary.first_written == vocabulary["<turn|>"] == vocabulary["<|picture>"] - 1
    assert vocabulary.text_size == 2_048 and vocabulary.size == 2_048 + vocabulary.codes
    assert not vocabulary.is_code(2_047) and vocabulary.is_code(2_048)
    assert [vocabulary.side_of(vocabulary.size_id(n)) for n in (1, LARGEST_SIDE)] == [1, LARGEST_SIDE]
    assert vocabulary.size_id(LARGEST_SIDE) == vocabulary[f"<|size{LARGEST_SIDE}|>"]


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(BadInput, match="not a SentencePiece model"):
        Vocabulary(b"no tokenizer", 0)


def test_a_foreign_tokenizer_is_refused():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["some words of text"] * 9), model_writer=model, vocab_size=15, minloglevel=2
    )
    with pytest.raises(BadInput, match=r"lacks the control tokens <\|turn>"):
        Vocabulary(model.getvalue(), 0)


@quick
@given(text=texts.map(lambda text: text * 9), most=st.integers(4, 40))
def test_cut_text_is_the_same_text_in_short_pieces(text, most):
    found = list(cut(text, most))
    assert "".join(found) == text
    assert all(0 < len(piece.encode()) <= most for piece in found)


def test_text_is_cut_after_lines_else_after_spaces():
    assert list(cut("one two\nthree four", 12)) == ["one two\n", "three four"]
    assert list(cut("one two three", 9)) == ["one two ", "three"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_the_whole_of_a_long_text_is_learnt_from_and_whitespace_is_kept(kind):
    """SentencePiece would skip a text of more than 4,192 bytes, and say nothing."""
    code = Path(vocabulary.__file__).read_text()
    model = train([code], 600, kind=kind)
    assert train([code], 600, kind=kind) == model
    found = Vocabulary(model, 0)
    pieces = set(found.piece_bytes)
    assert {b"self", b"        "} <= pieces
    assert not [piece for piece in pieces if len(piece) > 1 and any(48 <= byte <= 57 for byte in piece)]
    assert len(found.encode("        self12")) == 4


@pytest.mark.parametrize(
    "size, told",
    [(9_000, "has only 685 pieces, and 9,000 were asked for"), (350, "ask for more than 604"), (60, "ask for more")],
)
def test_a_size_that_the_text_cannot_have_is_refused(size, told):
    with pytest.raises(BadInput, match=told):
        train(sample.prose("ja").splitlines()[:20], size)


def test_no_text_makes_no_tokenizer_and_neither_does_half_the_characters():
    with pytest.raises(BadInput, match="makes no tokenizer"):
        train([], 500)
    with pytest.raises(BadInput, match="between 0.98 and 1"):
        train(["some text"], 500, coverage=0.5)
