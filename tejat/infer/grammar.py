"""Answers that must be JSON of a schema, or match a regular expression: which ids may come next, by llguidance.

A bit for every text id, 32 to a word, lowest first. The host works out the words of the next place while the device
computes its scores. Where the text may end, the bit of `<turn|>` is set.
"""

import functools
import json
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt32

from tejat.codecs.vocabulary import BOS, Vocabulary
from tejat.errors import BadInput
from tejat.infer.options import Options

_tokenizers: "weakref.WeakKeyDictionary[Vocabulary, Any]" = weakref.WeakKeyDictionary()

_LIMITS: dict[str, Any] = {
    "initial_lexer_fuel": 2_000_000,
    "max_lexer_states": 50_000,
    "max_grammar_size": 100_000,
    "verbose_errors": False,
}
"""What a stranger's schema may take: about 40 ms to build, and 100 MB."""

MANY = 32
"""Masks that are worth waking all cores for: one takes a core 7 us, and waking others can take milliseconds."""


class Grammar:
    """One answer's grammar and how far the answer has come. For one thread at a time."""

    def __init__(self, vocabulary: Vocabulary, options: Options):
        """Raises BadInput for a schema or an expression that is none, or that takes too much to follow."""
        import llguidance

        self._end = vocabulary["<turn|>"]
        limits = llguidance.LLParserLimits(**_LIMITS)
        tokenizer = _tokenizer(vocabulary)
        self._matcher = llguidance.LLMatcher(tokenizer, _compiled(options), log_level=0, limits=limits)
        if self._matcher.is_error():
            what = "json_schema" if options.json_schema is not None else "regex"
            told = " ".join(self._matcher.get_error().split())[:300]
            raise BadInput(f"{what} cannot be followed ({told}); simplify or mend it")

    def push(self, token: int) -> bool:
        """Goes on by a token that the mask admits; False: the answer cannot go on from here."""
        return token == self._end or bool(self._matcher.consume_token(token))


def fill(masks: UInt32[np.ndarray, "B W"], bound: Sequence[tuple[int, Grammar]]) -> list[bool]:
    """Writes what may come next in the answers of some rows; for each, whether it can go on."""
    going = []
    for row, grammar in bound:
        if grammar._matcher.is_stopped():  # whole, and nothing may follow
            masks[row] = 0
            masks[row, grammar._end // 32] = np.uint32(1 << grammar._end % 32)
        else:
            going.append((grammar._matcher, row))
    if len(going) < MANY:
        for matcher, row in going:
            matcher.unsafe_compute_mask_ptr(masks[row].ctypes.data, masks[row].nbytes)
    else:
        _executor().unsafe_compute_mask_ptr(going, masks.ctypes.data, masks[0].nbytes, len(masks))
    return [not grammar._matcher.is_error() for _, grammar in bound]


@functools.cache
def _executor() -> Any:
    import llguidance

    return llguidance.LLExecutor()


def words(vocabulary: Vocabulary) -> int:
    """Words of 32 bits that a mask of text ids takes."""
    return -(-vocabulary.text_size // 32)


def unbound(vocabulary: Vocabulary, rows: int) -> Int[np.ndarray, "B W"]:
    """Masks that admit everything."""
    return np.full((rows, words(vocabulary)), 0xFFFFFFFF, np.uint32)


def _compiled(options: Options) -> str:
    import llguidance

    if options.regex is not None:
        return llguidance.LLMatcher.grammar_from_regex(options.regex)
    given = options.json_schema or "{}"
    try:
        schema = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"json_schema is not JSON ({error}); give a JSON schema as a string") from error
    if not isinstance(schema, dict | bool):
        raise BadInput(f"json_schema is a {type(schema).__name__}; give a JSON schema, which is an object")
    # Compact JSON: a model that may write white space wherever it likes may go on writing nothing else.
    compact: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    try:
        return llguidance.LLMatcher.grammar_from_json_schema(given, overrides=compact)
    except ValueError as error:
        raise BadInput(f"json_schema cannot be followed ({error}); simplify or mend it") from error


def _tokenizer(vocabulary: Vocabulary) -> Any:
    """The vocabulary's text ids as llguidance takes them, made once: a trie of all pieces."""
    import llguidance

    if vocabulary not in _tokenizers:
        _tokenizers[vocabulary] = llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Pieces(vocabulary)))
    return _tokenizers[vocabulary]


class _Pieces:
    """What llguidance asks of a tokenizer."""

    def __init__(self, vocabulary: Vocabulary):
        self.eos_token_id, self.bos_token_id = vocabulary["<turn|>"], BOS
        self.special_token_ids = [i for i, piece in enumerate(vocabulary.piece_bytes) if not piece]
        self.tokens = [piece or b"<%d>" % i for i, piece in enumerate(vocabulary.piece_bytes)]
        self._encode = vocabulary.encode

    def __call__(self, text: str) -> list[int]:
        if not isinstance(text, str):  # llguidance asks by trying bytes
            raise TypeError("text, not bytes")
        return self._encode(text)
