"""SentencePiece models as `tokenizer.json` and back: the same ids for every text, or a refusal."""

import copy
import functools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2

from tejat import sample
from tejat.codecs import vocabulary
from tejat.codecs.vocabulary import CONTROLS, Vocabulary
from tejat.errors import BadInput
from tejat.export import tokenizer

LINES = [line for language in sample.languages() for line in sample.prose(language).splitlines()]
ODD = [
    "",
    " ",
    "   two  and three ",
    "\t\n\n\r\x00",
    "a\nb",
    "\U0001f600 \U00013000",
    "0123456789",
    "e\u0301",
    "\ufffd",
]
CODES = 7
KINDS = ["unigram", "bpe"]


@functools.cache
def model(kind: str) -> bytes:
    return vocabulary.train(LINES, 1_500, kind=kind, coverage=0.98)


def proto(data: bytes):
    return sentencepiece_model_pb2.ModelProto.FromString(data)


@functools.cache
def encoded(kind: str) -> dict:
    return tokenizer.to_json(model(kind), CODES)


@functools.cache
def there_and_back(kind: str) -> tuple[Vocabulary, Vocabulary]:
    before = Vocabulary(model(kind), CODES)
    return before, Vocabulary(tokenizer.from_json(encoded(kind), before.text_size), CODES)


@pytest.mark.parametrize("kind", KINDS)
def test_back_from_json_every_line_of_the_sample_has_the_same_ids(kind):
    before, after = there_and_back(kind)
    assert after.piece_bytes == before.piece_bytes and after.controls == before.controls
    for line in LINES + ODD:
        assert after.encode(line) == before.encode(line), line


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(st.characters(codec="utf-8") | st.sampled_from("  aeinst\u2581<>|0x4"), max_size=40))
def test_and_so_has_any_text(kind, text):
    before, after = there_and_back(kind)
    assert after.encode(text) == before.encode(text)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_the_library_of_tokenizer_json_agrees(kind):
    from tokenizers import Tokenizer

    ours, theirs = Vocabulary(model(kind), CODES), Tokenizer.from_str(json.dumps(encoded(kind)))
    assert theirs.get_vocab_size() == ours.size
    assert [theirs.id_to_token(ours.text_size + code) for code in range(CODES)] == [
        tokenizer.code_name(code) for code in range(CODES)
    ]
    for line in LINES + ODD:
        ids = ours.encode(line)
        assert theirs.encode(line, add_special_tokens=False).ids == ids, line
        assert theirs.encode(line).ids == [vocabulary.BOS, *ids]
        assert theirs.decode(ids) == ours.decode(ids) == line


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_another_tokenizer_does_not(kind):
    """The control: with one piece named otherwise, the comparison of the sample fails."""
    from tokenizers import Tokenizer

    ours, changed = Vocabulary(model(kind), CODES), copy.deepcopy(encoded(kind))
    entries = changed["model"]["vocab"]
    common = max(ours.encode(LINES[0]), key=lambda token: len(ours.piece_bytes[token]))
    if kind == "unigram":
        entries[common][0] = "\u2581nosuchpiece"
    else:
        name = next(name for name, token in entries.items() if token == common)
        changed["model"]["merges"] = [pair for pair in changed["model"]["merges"] if "".join(pair) != name]
    theirs = Tokenizer.from_str(json.dumps(changed))
    assert any(theirs.encode(line, add_special_tokens=False).ids != ours.encode(line) for line in LINES)


def foreign(kind: str, spare: int | None = None) -> bytes:
    """A tokenizer as another project has it: no control tokens of ours but three, which text may spell out."""
    changed = proto(model(kind))
    unused = 0
    for piece in changed.pieces:
        if piece.piece in ("<|turn>", "<turn|>", "<|image|>"):
            piece.type = piece.USER_DEFINED
        elif piece.piece in CONTROLS:
            piece.piece = f"<unused{unused}>" if spare is None or unused < spare else f"<other{unused}>"
            piece.type = piece.USER_DEFINED
            unused += 1
    return changed.SerializeToString()


@pytest.mark.parametrize("kind", KINDS)
def test_control_tokens_take_unused_places(kind):
    before = proto(foreign(kind))
    after = tokenizer.with_controls(before.SerializeToString(), "it")
    found = Vocabulary(after, CODES)
    for old, new in zip(before.pieces, proto(after).pieces, strict=True):
        assert old.piece == new.piece or (old.piece.startswith("<unused") and new.piece in CONTROLS)
    sizes = [found.size_id(n) for n in (1, vocabulary.LARGEST_SIDE)]
    assert sizes == [found["<|size1|>"], found[f"<|size{vocabulary.LARGEST_SIDE}|>"]]
    for name in CONTROLS:  # nobody forges one by spelling it out
        assert found[name] not in found.encode(f"a {name} b")
    with pytest.raises(BadInput, match="lacks the control tokens"):
        Vocabulary(before.SerializeToString(), CODES)  # so it was needed


def test_too_few_unused_places():
    with pytest.raises(BadInput, match="lacks the control tokens .* has no 7[0-9] unused pieces for them"):
        tokenizer.with_controls(foreign("bpe", spare=60), "it")


def test_a_tokenizer_of_ours_stays_as_it_is():
    assert tokenizer.with_controls(model("unigram"), "it") == model("unigram")


def test_other_first_ids_are_refused():
    changed = proto(model("bpe"))
    changed.pieces[0].piece, changed.pieces[1].piece = "<eos>", "<pad>"
    with pytest.raises(BadInput, match="does not begin with <pad>, <eos>, <bos> and <unk>"):
        tokenizer.with_controls(changed.SerializeToString(), "it")


RUN = 6


def with_runs() -> bytes:
    """A BPE model with runs of two to six spaces as user-defined pieces, as Gemma's tokenizers have them."""
    changed = proto(model("bpe"))
    for length, piece in enumerate(changed.pieces[-(RUN - 1) :], 2):  # in place of the rarest letters
        piece.piece, piece.type, piece.score = tokenizer.SPACE * length, piece.USER_DEFINED, 0.0
    return changed.SerializeToString()


def runs_by_merging() -> dict:
    """Its `tokenizer.json` as `transformers` makes it: runs merged, the longest right side first."""
    value = tokenizer.to_json(with_runs(), 0)
    runs = [
        [tokenizer.SPACE * left, tokenizer.SPACE * right]
        for right in range(RUN - 1, 0, -1)
        for left in range(RUN - right, 0, -1)
    ]
    value["model"]["merges"] = runs + value["model"]["merges"]
    for added in value["added_tokens"]:
        added["normalized"] = False
    return value


SPACED = ["a" + " " * n + "b" + " " * (n // 2) for n in range(30)] + [" " * n for n in range(30)]


def test_runs_of_spaces_may_be_merged_or_taken_whole():
    before = Vocabulary(with_runs(), 0)
    for value in (runs_by_merging(), tokenizer.to_json(with_runs(), 0)):
        after = Vocabulary(tokenizer.from_json(value, 1_500), 0)
        for line in LINES + ODD + SPACED:
            assert after.encode(line) == before.encode(line), line


@pytest.mark.oracle
def test_the_library_agrees_about_runs_of_spaces():
    from tokenizers import Tokenizer

    ours = Vocabulary(with_runs(), 0)
    for value in (runs_by_merging(), tokenizer.to_json(with_runs(), 0)):
        theirs = Tokenizer.from_str(json.dumps(value))
        for line in LINES + ODD + SPACED:
            assert theirs.encode(line, add_special_tokens=False).ids == ours.encode(line), line


def test_runs_that_grow_otherwise_are_refused():
    value = runs_by_merging()
    merges = value["model"]["merges"]
    merges.insert(0, merges.pop(merges.index([tokenizer.SPACE, tokenizer.SPACE])))  # pairs come first: 2 + 2 + 2 + ...
    with pytest.raises(BadInput, match="are not consecutive"):
        tokenizer.from_json(value, 1_500)


def test_special_tokens_get_the_names_of_tokenizer_json(tmp_path):
    """A tuned model's `tokenizer.json` beside the `tokenizer.model` of its base."""
    (tmp_path / "tokenizer.model").write_bytes(foreign("bpe"))
    spare = [token for token, piece in enumerate(proto(foreign("bpe")).pieces) if piece.piece.startswith("<unused")]
    added = [{"id": spare[5], "content": "<|audio>", "special": True}, {"id": 9_999, "content": "far", "special": True}]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    found = Vocabulary(tokenizer.find(tmp_path, 1_500), 0)
    assert found["<|audio>"] == spare[5]
    (tmp_path / "tokenizer.json").unlink()
    assert Vocabulary(tokenizer.find(tmp_path, 1_500), 0)["<|audio>"] != spare[5]
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInput, match="tokenizer.json is no tokenizer"):
        tokenizer.find(tmp_path, 1_500)


def merged_otherwise(value):
    merges = value["model"]["merges"]
    merges.append(
        merges.pop(
            next(i for i, pair in enumerate(merges) if merges[i + 1] and "".join(merges[i + 1]) == "".join(pair))
        )
    )


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("unigram", lambda v: v.update(normalizer={"type": "Lowercase"}), "its normalizer does more"),
        ("unigram", lambda v: v.update(normalizer=None), "its normalizer does more"),
        ("bpe", lambda v: v.update(pre_tokenizer={"type": "ByteLevel", "pattern": None}), "its pre_tokenizer cuts"),
        ("bpe", lambda v: v["model"].update(byte_fallback=False), "its algorithm is neither"),
        ("bpe", lambda v: v["model"].update(type="WordPiece"), "its algorithm is neither"),
        ("bpe", lambda v: v["model"].update(end_of_word_suffix="</w>"), "options that SentencePiece lacks"),
        ("bpe", lambda v: v["model"]["vocab"].pop("<0x41>"), "its ids have gaps"),
        ("bpe", lambda v: v["model"]["merges"].pop(), "it has no merge of"),
        ("bpe", merged_otherwise, "are not consecutive"),
        ("bpe", lambda v: v.pop("model"), "it is not as expected"),
        ("bpe", lambda v: v["model"].update(merges=[["a"]]), "it is not as expected"),
    ],
)
def test_what_is_not_exactly_ours_is_refused(tmp_path, kind, change, words):
    value = copy.deepcopy(encoded(kind))
    change(value)
    (tmp_path / "tokenizer.json").write_text(json.dumps(value))
    with pytest.raises(BadInput, match=words) as caught:
        tokenizer.find(tmp_path, 1_500)
    assert "put the tokenizer.model of this checkpoint beside it" in str(caught.value)


def test_tokenizer_model_is_preferred(tmp_path):
    with pytest.raises(BadInput, match="has neither tokenizer.model nor tokenizer.json"):
        tokenizer.find(tmp_path, 1_500)
    (tmp_path / "tokenizer.json").write_text(json.dumps(encoded("bpe")))
    assert proto(tokenizer.find(tmp_path, 1_500)).trainer_spec.model_type == 2
    (tmp_path / "tokenizer.model").write_bytes(model("unigram"))
    assert tokenizer.find(tmp_path, 1_500) == model("unigram")


@pytest.mark.parametrize("data", [b"", b"\xff\xff\xff", b"{}"])
def test_what_is_no_sentencepiece_model(tmp_path, data):
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(BadInput, match="tokenizer.model is not a SentencePiece model"):
        tokenizer.find(tmp_path, 1_500)


def test_a_tokenizer_that_changes_text_is_not_exported():
    changed = proto(model("bpe"))
    changed.normalizer_spec.add_dummy_prefix = True
    with pytest.raises(BadInput, match="normalises text"):
        tokenizer.to_json(changed.SerializeToString(), 0)
