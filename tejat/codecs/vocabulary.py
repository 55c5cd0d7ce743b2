"""The vocabulary: SentencePiece text pieces, control tokens among them, and the codes of output pictures after them.

0 .. 3                <pad> <eos> <bos> <unk>
4 ..                  control tokens (CONTROLS), of which those a model may write in running text come last
..                    256 byte tokens, then text pieces
text_size .. size     picture codes
"""

import codecs
import functools
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tejat.errors import BadInput

PAD, EOS, BOS, UNK = 0, 1, 2, 3

_SPACE = "\u2581"
"""What SentencePiece writes for a space in its pieces; a text may hold the character itself."""

PASSAGE = 4_192
"""Bytes of the longest text that SentencePiece learns from at once; it skips longer ones in silence."""

LARGEST_SIDE = 64
"""Codes along the longest side that framing can announce; one control token each."""

_SIZES = tuple(f"<|size{n}|>" for n in range(1, LARGEST_SIDE + 1))
_MEDIA = ("<|image>", "<|image|>", "<image|>", "<|audio>", "<|audio|>", "<audio|>", "<|video>", "<video|>")
# The order matters: from "<turn|>" on, every id may appear in running text that a model writes.
CONTROLS = ("<|turn>", *_MEDIA, *_SIZES, "<|row|>", "<picture|>", "<turn|>", "<|picture>")


class Vocabulary:
    """Text and codes as one range of ids. Immutable; loading is the only costly step."""

    def __init__(self, model: bytes, codes: int):
        """`model`: a serialised SentencePiece model made by `train`; `codes`: size of the picture codebook."""
        import sentencepiece

        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
            self.text_size = self._pieces.get_piece_size()
            if not self.text_size:  # what the library makes of an empty file
                raise RuntimeError("it is empty")
        except RuntimeError as error:
            raise BadInput("the tokenizer is not a SentencePiece model; train one or copy it again") from error
        self.model = model
        self.codes = codes
        self.size = self.text_size + codes
        self.controls = {name: self._pieces.piece_to_id(name) for name in CONTROLS}
        # An unknown piece has the id of <unk>, whatever that is in a tokenizer that another made.
        missing = [name for name, token in self.controls.items() if self._pieces.id_to_piece(token) != name]
        if missing:
            raise BadInput(f"the tokenizer lacks the control tokens {', '.join(missing[:3])}; train it anew")
        self.first_written = self.controls["<turn|>"]

    @classmethod
    def load(cls, path: Path, codes: int) -> "Vocabulary":
        return cls(path.read_bytes(), codes)

    def __getitem__(self, control: str) -> int:
        """The id of a control token."""
        return self.controls[control]

    def size_id(self, codes_along_side: int) -> int:
        return self.controls["<|size1|>"] + codes_along_side - 1

    def side_of(self, token: int) -> int:
        """The number of codes that a size token announces."""
        return token - self.controls["<|size1|>"] + 1

    def encode(self, text: str) -> list[int]:
        """Text to ids; control tokens spelled out in the text stay text, so no user can forge them."""
        first, *rest = text.split(_SPACE)
        tokens = self._pieces.encode(first)
        for run in rest:
            # Spelled in bytes: its own piece would come back as a space.
            tokens += [self._pieces.piece_to_id(f"<0x{byte:02X}>") for byte in _SPACE.encode()]
            tokens += self._pieces.encode(run)
        return tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Ids to text. Control tokens and codes are left out; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(self.piece_bytes[t] for t in tokens if t < self.text_size).decode(errors="replace")

    def is_code(self, token: int) -> bool:
        return token >= self.text_size

    @functools.cached_property
    def piece_bytes(self) -> tuple[bytes, ...]:
        """The bytes that each text id stands for; control tokens stand for none."""
        table = []
        for i in range(self.text_size):
            piece = self._pieces.id_to_piece(i)
            if self._pieces.is_control(i) or self._pieces.is_unknown(i):
                table.append(b"")
            elif self._pieces.is_byte(i):
                table.append(bytes([int(piece[3:5], 16)]))
            else:
                table.append(piece.replace(_SPACE, " ").encode())
        return tuple(table)


def train(
    texts: Iterable[str], size: int, *, kind: str = "unigram", longest: int = 16, coverage: float = 0.9995
) -> bytes:
    """A SentencePiece model of `size` pieces: byte fallback, digits apart, whitespace kept, nothing normalised.

    `kind` is "unigram" (Kudo 2018) or "bpe"; `longest` bounds a piece in characters; characters beyond `coverage` of
    the text have no piece of their own, and are spelled in bytes. The same texts in the same order make the same model,
    to the byte. Raises BadInput where the texts have fewer pieces, or more characters than there is room for.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            # A piece of a text at a time: longer ones it would skip in silence.
            sentence_iterator=(part for text in texts for part in cut(text)),
            model_writer=model,
            vocab_size=size,
            model_type=kind,
            pad_id=PAD,
            eos_id=EOS,
            bos_id=BOS,
            unk_id=UNK,
            pad_piece="<pad>",
            eos_piece="<eos>",
            bos_piece="<bos>",
            control_symbols=list(CONTROLS),
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            max_sentencepiece_length=longest,
            max_sentence_length=PASSAGE,
            character_coverage=coverage,
            num_threads=2,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise BadInput(_reason(str(error), size)) from error
    return model.getvalue()


def cut(text: str, most: int = PASSAGE) -> Iterator[str]:
    """The text in pieces of at most `most` bytes, at least 4, cut after a line where one ends, else after a space."""
    at = 0
    while at < len(text):
        window = text[at : at + most]
        # A cut through a character of several bytes leaves it to the next piece.
        head = window.encode()[:most].decode(errors="ignore")
        if at + len(head) < len(text):
            end = head.rfind("\n") + 1 or head.rfind(" ") + 1
            head = head[:end] if end else head
        yield head
        at += len(head)


def _reason(told: str, size: int) -> str:
    """What SentencePiece's trainer complains of, in our words."""
    if found := re.search(r"value <= (\d+)", told):
        return (
            f"the text has only {int(found[1]):,} pieces, and {size:,} were asked for; give more text or ask for fewer"
        )
    if found := re.search(r"required_chars\. \d+ vs (\d+)", told):
        return (
            f"{size:,} pieces are fewer than marks, bytes and the text's characters are; "
            f"ask for more than {int(found[1]):,}, or for a lower coverage"
        )
    if "character_coverage()" in told:
        return "a tokenizer's coverage of characters lies between 0.98 and 1; change it"
    return f"SentencePiece makes no tokenizer of the text ({' '.join(told.split())[-160:]}); give other text"


class TextStream:
    """Bytes of generated ids, given out as text without ever splitting a character."""

    def __init__(self, vocabulary: Vocabulary):
        self._bytes = vocabulary.piece_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, tokens: Sequence[int]) -> str:
        """The text that these ids complete; an unfinished character waits for the next call."""
        return self._decoder.decode(b"".join(self._bytes[t] for t in tokens if t < len(self._bytes)))

    def finish(self) -> str:
        """What is left, its broken end replaced by U+FFFD."""
        return self._decoder.decode(b"", final=True)
