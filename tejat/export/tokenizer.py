"""The tokenizer of a checkpoint: SentencePiece, which we read, and `tokenizer.json`, which other engines read.

Both describe the same two algorithms, unigram (Kudo 2018) and byte-pair merges, over text whose spaces are written
U+2581. They differ in what they write down: SentencePiece scores every piece and merges whatever gives a piece, best
score first; `tokenizer.json` lists the merges themselves. One becomes the other exactly or is refused.
"""

import json
import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from tejat.codecs.vocabulary import BOS, CONTROLS, EOS, PAD, UNK
from tejat.errors import BadInput
from tejat.export.tensors import some

SPACE = "\u2581"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_SPARE = re.compile(r"<unused\d+>")
_NEVER = -1_000.0
"""Score of a piece that text must not match: in `tokenizer.json` bytes are pieces like others, so "<0x41>" in a text
would be read as one."""


def code_name(code: int) -> str:
    """What a picture code is called where every row of the embedding needs a name."""
    return f"<|code{code}|>"


def to_json(model: bytes, codes: int) -> dict[str, Any]:
    """The `tokenizer.json` of a SentencePiece model, picture codes after its pieces.

    Ids are the same for every text, but for what the format cannot say: control tokens spelled out in a text are taken
    for control tokens, U+2581 for a space, and "<0x41>" for a byte where one of its characters has no piece. Raises
    BadInput for a model that changes its text first.
    """
    proto = proto_of(model)
    spec, kind = proto.normalizer_spec, proto.trainer_spec.model_type
    if spec.precompiled_charsmap or spec.add_dummy_prefix or spec.remove_extra_whitespaces or kind not in (1, 2):
        raise BadInput(
            "the tokenizer normalises text, or is neither unigram nor BPE, which tokenizer.json cannot say alike; "
            "export a model whose tokenizer was trained by Tejat"
        )
    names = [piece.piece for piece in proto.pieces]
    added = [
        _added(token, piece.piece, special=piece.type != piece.USER_DEFINED)
        for token, piece in enumerate(proto.pieces)
        if piece.type in (piece.CONTROL, piece.UNKNOWN, piece.USER_DEFINED)
    ]
    added += [_added(len(names) + code, code_name(code), special=True) for code in range(codes)]
    if kind == proto.trainer_spec.UNIGRAM:
        vocabulary = [[p.piece, _NEVER if p.type == p.BYTE else p.score] for p in proto.pieces]
        inner: dict[str, Any] = {"type": "Unigram", "unk_id": UNK, "vocab": vocabulary, "byte_fallback": True}
    else:
        inner = {
            "type": "BPE",
            "dropout": None,
            "unk_token": names[UNK],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {name: token for token, name in enumerate(names)},
            "merges": _merges({p.piece: p.score for p in proto.pieces if p.type == p.NORMAL}),
        }
    begin = {"SpecialToken": {"id": names[BOS], "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, first],
            "pair": [begin, first, second],
            "special_tokens": {names[BOS]: {"id": names[BOS], "ids": [BOS], "tokens": [names[BOS]]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": inner,
    }


def find(folder: Path, size: int) -> bytes:
    """The SentencePiece model of a checkpoint whose text has `size` ids, with control tokens in spare places.

    `tokenizer.model` is taken where there is one, with the names that `tokenizer.json` gives to special tokens, for
    models tuned later get new names for old places; else `tokenizer.json` is converted. Raises BadInput where neither
    works.
    """
    path, ours = folder / "tokenizer.json", folder / "tokenizer.model"
    if not path.is_file():
        if not ours.is_file():
            raise BadInput(f"{folder} has neither tokenizer.model nor tokenizer.json; copy one of them there")
        return with_controls(ours.read_bytes(), str(ours))
    try:
        value = json.loads(path.read_bytes())
        special = {added["id"]: added["content"] for added in value["added_tokens"] if added["special"]}
    except (ValueError, LookupError, TypeError) as error:
        raise BadInput(f"{path} is no tokenizer ({error}); copy the checkpoint again") from error
    if ours.is_file():
        return with_controls(_renamed(ours.read_bytes(), special, str(ours)), str(ours))
    try:
        model = from_json(value, size)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        told = error if isinstance(error, BadInput) else f"it is not as expected ({error})"
        raise BadInput(
            f"{path} is not exactly a SentencePiece model: {told}; put the tokenizer.model of this checkpoint beside it"
        ) from error
    return with_controls(model, str(path))


def from_json(value: dict[str, Any], size: int) -> bytes:
    """The SentencePiece model that reads text as a `tokenizer.json` does; ids from `size` on are left out.

    Raises BadInput, saying why, where there is none; other errors for a value of another shape.
    """
    from sentencepiece import sentencepiece_model_pb2

    inner = value["model"]
    kind = inner["type"]
    _check_pipeline(value, kind)
    names: dict[int, str] = {}
    if kind == "BPE":
        names |= {token: name for name, token in inner["vocab"].items()}
    else:
        names |= {token: name for token, (name, _) in enumerate(inner["vocab"])}
    special = {added["content"] for added in value["added_tokens"] if added["special"]}
    whole = _taken_whole(value, special)
    names |= {added["id"]: added["content"] for added in value["added_tokens"]}
    names = {token: name for token, name in names.items() if token < size}
    if sorted(names) != [*range(len(names))] or names.get(UNK) != "<unk>":
        raise BadInput("its ids have gaps or do not begin with <pad>, <eos>, <bos> and <unk>")

    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    piece_kind = proto.SentencePiece
    scores = _scores(inner, special | whole) if kind == "BPE" else dict(inner["vocab"])
    for token in range(len(names)):
        piece = proto.pieces.add(piece=names[token], score=scores.get(names[token], 0.0), type=piece_kind.NORMAL)
        if token == UNK:
            piece.type = piece_kind.UNKNOWN
        elif _BYTE.fullmatch(names[token]):
            piece.type, piece.score = piece_kind.BYTE, 0.0
        elif names[token] in special:
            piece.type = piece_kind.CONTROL
        elif names[token] in whole:
            piece.type = piece_kind.USER_DEFINED
    trained, normalised = proto.trainer_spec, proto.normalizer_spec
    trained.model_type = trained.BPE if kind == "BPE" else trained.UNIGRAM
    trained.vocab_size, trained.byte_fallback = len(names), True
    trained.pad_id, trained.eos_id, trained.bos_id, trained.unk_id = PAD, EOS, BOS, UNK
    trained.pad_piece, trained.eos_piece, trained.bos_piece, trained.unk_piece = (
        names[i] for i in (PAD, EOS, BOS, UNK)
    )
    normalised.name, normalised.escape_whitespaces = "identity", True
    normalised.add_dummy_prefix = normalised.remove_extra_whitespaces = False
    return proto.SerializeToString()


def with_controls(model: bytes, where: str) -> bytes:
    """The model with every control token: those that another's tokenizer lacks take `<unused…>` pieces.

    No id moves. Raises BadInput where too few are unused, or where <pad>, <eos>, <bos> and <unk> are not 0 to 3.
    """
    proto = proto_of(model, where)
    ids = {piece.piece: token for token, piece in enumerate(proto.pieces)}
    if [ids.get(name) for name in ("<pad>", "<eos>", "<bos>", "<unk>")] != [PAD, EOS, BOS, UNK]:
        raise BadInput(f"{where} does not begin with <pad>, <eos>, <bos> and <unk>; it is no tokenizer of this kind")
    missing = [name for name in CONTROLS if name not in ids]
    spare = [token for token, piece in enumerate(proto.pieces) if _SPARE.fullmatch(piece.piece)]
    # The sizes of pictures are consecutive ids, so they take one unbroken run; the others what is left.
    sizes = [name for name in missing if name.startswith("<|size")]
    runs = (spare[at : at + len(sizes)] for at in range(len(spare) - len(sizes) + 1))
    run = next((run for run in runs if not run or run[-1] - run[0] == len(sizes) - 1), None)
    if run is None or len(spare) < len(missing):
        told = f"{where} lacks the control tokens {some(missing, 3)} and has no {len(missing)} unused pieces for them"
        raise BadInput(f"{told}; give a tokenizer that has")
    rest = (token for token in spare if token not in run)
    for name in missing:
        token = run[sizes.index(name)] if name in sizes else next(rest)
        proto.pieces[token].piece, ids[name] = name, token
    for name in CONTROLS:
        proto.pieces[ids[name]].type = proto.SentencePiece.CONTROL  # or a user could forge it by spelling it out
    return proto.SerializeToString()


def _renamed(model: bytes, special: Mapping[int, str], where: str) -> bytes:
    """The model with special tokens, by id, under other names."""
    proto = proto_of(model, where)
    for token, name in special.items():
        if token < len(proto.pieces) and proto.pieces[token].piece != name:
            proto.pieces[token].piece, proto.pieces[token].type = name, proto.SentencePiece.CONTROL
    return proto.SerializeToString()


def proto_of(model: bytes, where: str = "the tokenizer") -> Any:
    """A SentencePiece model as its own protocol buffer. Raises BadInput for bytes that are none."""
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    try:
        proto = sentencepiece_model_pb2.ModelProto.FromString(model)  # type: ignore[attr-defined]
    except DecodeError as error:
        raise BadInput(f"{where} is not a SentencePiece model ({error}); copy it again") from error
    if not proto.pieces:
        raise BadInput(f"{where} is not a SentencePiece model (it has no pieces); copy it again")
    return proto


def _added(token: int, content: str, *, special: bool) -> dict[str, Any]:
    sides = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    return {"id": token, "content": content, **sides, "normalized": not special, "special": special}


def _splits(name: str) -> Iterator[tuple[str, str]]:
    return ((name[:at], name[at:]) for at in range(1, len(name)))


def _merges(scores: dict[str, float]) -> list[list[str]]:
    """Every pair of pieces that makes a piece, best piece first."""
    found = [
        (-score, left, right)
        for name, score in scores.items()
        for left, right in _splits(name)
        if left in scores and right in scores
    ]
    return [[left, right] for _, left, right in sorted(found, key=lambda merge: merge[0])]


def _pairs(inner: dict[str, Any]) -> list[tuple[str, str]]:
    """The merges, best first, of either spelling: "a b" or ["a", "b"]."""
    found = (merge.split(" ") if isinstance(merge, str) else merge for merge in inner["merges"])
    return [(left, right) for left, right in found]


def _taken_whole(value: dict[str, Any], special: Set[str]) -> set[str]:
    """Pieces found in the text before any algorithm runs, the longest first: user-defined ones, as SentencePiece says.

    Runs of spaces are among them where the merges come to the same: when those that make runs are the best of all,
    grow a run from its left, and no piece has a run in it.
    """
    added = [token for token in value["added_tokens"] if token["content"] not in special]
    whole = {token["content"] for token in added if token["normalized"] or SPACE not in token["content"]}
    runs = {
        token["content"] for token in added if len(token["content"]) > 1 and set(token["content"]) == {SPACE}
    } - whole
    if not runs or value["model"]["type"] != "BPE":
        return whole
    pairs = _pairs(value["model"])
    making = [pair for pair in pairs if runs.intersection((*pair, "".join(pair)))]
    growing = [(SPACE * n, SPACE) for n in range(1, len(runs) + 1)]
    ranks = {pair: rank for rank, pair in enumerate(making)}
    first = pairs[: len(making)] == making and runs.issuperset(map("".join, making))
    grows = ranks.keys() >= set(growing) and max(growing, key=lambda pair: ranks[pair]) == growing[0]
    return whole | runs if first and grows else whole


def _scores(inner: dict[str, Any], apart: Set[str]) -> dict[str, float]:
    """Scores under which SentencePiece merges in the listed order; pieces `apart` are not made by merging.

    Raises BadInput where there are none.
    """
    pairs = [pair for pair in _pairs(inner) if "".join(pair) not in apart]
    scores: dict[str, float] = {}
    last = ""
    for left, right in pairs:
        made = left + right
        if made != last and made in scores:
            raise BadInput(f"its merges for {made!r} are not consecutive")
        if made != last:
            scores[made] = -float(len(scores))
        last = made
    listed = set(pairs)
    usable = {name for name in inner["vocab"] if name not in apart and not _BYTE.fullmatch(name)}
    for name in usable:
        for split in _splits(name):
            if split not in listed and usable.issuperset(split):
                raise BadInput(f"it has no merge of {split[0]!r} and {split[1]!r}, though {name!r} is a piece")
    lowest = -float(len(scores))
    return {name: scores.get(name, lowest) for name in usable}


def _check_pipeline(value: dict[str, Any], kind: str) -> None:
    """Spaces become U+2581, and nothing else happens to the text before the algorithm."""
    before = value["normalizer"]
    if before != {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}:
        raise BadInput(f"its normalizer does more than to write spaces as {SPACE}")
    # Splitting at spaces, when there are none left, splits nothing.
    cut = value["pre_tokenizer"]
    if cut is not None and (cut["type"], cut["pattern"]) != ("Split", {"String": " "}):
        raise BadInput("its pre_tokenizer cuts the text")
    inner = value["model"]
    if kind not in ("BPE", "Unigram") or not inner["byte_fallback"]:
        raise BadInput("its algorithm is neither BPE nor unigram with bytes for what has no piece")
    if any(inner.get(key) for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")):
        raise BadInput("its BPE has options that SentencePiece lacks")
