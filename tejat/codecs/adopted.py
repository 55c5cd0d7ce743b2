"""A public SentencePiece tokenizer as a vocabulary of ours, whole or cut to a size.

Byte-pair merges are nested: the first merges of a tokenizer are what its training would have given, had it stopped
there. So a public tokenizer can be had at our size, and two of one size be compared.
"""

from tejat.codecs.vocabulary import BOS, CONTROLS, EOS, PAD, UNK
from tejat.errors import BadInput

_OURS = {PAD: "<pad>", EOS: "<eos>", BOS: "<bos>", UNK: "<unk>"}


def adopt(model: bytes, size: int | None = None) -> bytes:
    """The model with our marks in place of its own; cut to `size` ids, it keeps all characters and its first merges.

    Raises:
      BadInput: for what is no SentencePiece model, or has no byte fallback or changes its text, which ours may not; for
        a cut of a unigram model, whose pieces are not nested, or one that leaves no room for its characters.
    """
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    try:
        proto.ParseFromString(model)
    except DecodeError as error:
        raise BadInput(
            "the public tokenizer is not a SentencePiece model; give a file such as tokenizer.model"
        ) from error
    spec, kinds = proto.trainer_spec, type(proto).SentencePiece
    by_kind = {kind: [p for p in proto.pieces if p.type == kind] for kind in {p.type for p in proto.pieces}}
    spelled = by_kind.get(kinds.BYTE, [])
    if len(spelled) != 256 or proto.normalizer_spec.precompiled_charsmap:
        raise BadInput("the public tokenizer normalises text or cannot spell every byte, so texts would not come back")
    pieces = [p for p in proto.pieces if p.type in (kinds.NORMAL, kinds.USER_DEFINED)]
    marks = len(_OURS) + len(CONTROLS) + len(spelled)
    if size is not None:
        if spec.model_type != spec.BPE:
            raise BadInput("the public tokenizer is no BPE, and only those can be cut; compare it whole, without @SIZE")
        single = [p for p in pieces if len(p.piece) == 1]
        merged = [p for p in pieces if len(p.piece) > 1]
        room = size - marks - len(single)
        if not 0 <= room <= len(merged):
            least, most = marks + len(single), marks + len(pieces)
            raise BadInput(f"the public tokenizer cannot be cut to {size:,} ids; choose from {least:,} to {most:,}")
        pieces = merged[:room] + single

    made = type(proto)(trainer_spec=spec)
    for token in range(len(_OURS)):
        made.pieces.add(piece=_OURS[token], score=0, type=kinds.UNKNOWN if token == UNK else kinds.CONTROL)
    for name in CONTROLS:
        made.pieces.add(piece=name, score=0, type=kinds.CONTROL)
    made.pieces.extend([*spelled, *pieces])
    ids = {"vocab_size": len(made.pieces), "pad_id": PAD, "eos_id": EOS, "bos_id": BOS, "unk_id": UNK}
    for name, value in ids.items():
        setattr(made.trainer_spec, name, value)
    made.trainer_spec.pad_piece, made.trainer_spec.eos_piece = _OURS[PAD], _OURS[EOS]
    made.trainer_spec.bos_piece, made.trainer_spec.unk_piece = _OURS[BOS], _OURS[UNK]
    del made.trainer_spec.control_symbols[:]
    made.trainer_spec.control_symbols.extend(CONTROLS)
    made.normalizer_spec.name = "identity"
    made.normalizer_spec.add_dummy_prefix = made.normalizer_spec.remove_extra_whitespaces = False
    return made.SerializeToString()
